"""Adafactor for parameters that are sharded by rows (PyTorch's own reads whole matrices)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .distributed import all_reduce_sum
from .sharding import as_sharded, held


class ShardedAdafactor(torch.optim.Adafactor):
    """`torch.optim.Adafactor` (Shazeer and Stern 2018, arXiv 1804.04235) over processes that each hold some rows.

    A row's mean is its holder's own. A matrix's column means, the mean of its row means, and the norms of weights and
    of updates are sums over all processes, which meet three times a step for all parameters together. The state is
    that of `torch.optim.Adafactor`, sharded where it has the parameter's rows.
    """

    @torch.no_grad()
    def step(self, closure: object = None) -> None:  # type: ignore[override]
        """See `torch.optim.Optimizer.step`; every process takes it with gradients of the same parameters."""
        assert closure is None
        work = [(g, p, self.state[p]) for g in self.param_groups for p in g["params"] if p.grad is not None]
        for _, p, state in work:
            if not state:
                state.update(_first_state(p))
        norms = [held(p).square().sum() for _, p, _ in work]
        columns = {id(p): _squares(p).sum(0, keepdim=True) for _, p, _ in work if p.dim() == 2}
        all_reduce_sum([*norms, *columns.values()])
        row_sums = {}
        for group, p, state in work:
            state["step"] += 1
            new = float(state["step"]) ** group["beta2_decay"]
            squares = _squares(p)
            if p.dim() < 2:
                held(state["variance"]).lerp_(squares, new)
                continue
            held(state["row_var"]).lerp_(squares.mean(-1, keepdim=True), new)
            column = columns[id(p)] / len(p) if p.dim() == 2 else squares.mean(-2, keepdim=True)
            held(state["col_var"]).lerp_(column, new)
            if p.dim() == 2:
                row_sums[id(p)] = held(state["row_var"]).sum(0, keepdim=True)
        all_reduce_sum(row_sums.values())
        sizes = [_update(group, p, state, row_sums.get(id(p))).square().sum() for group, p, state in work]
        all_reduce_sum(sizes)
        if not work:
            return
        all_norms, all_sizes = torch.stack(norms).tolist(), torch.stack(sizes).tolist()
        for (group, p, state), norm, size in zip(work, all_norms, all_sizes, strict=True):
            rate = float(group["lr"])
            relative = min(rate, float(state["step"]) ** -0.5)
            alpha = max(group["eps"][1], (norm / p.numel()) ** 0.5) * relative
            denominator = max(1.0, (size / p.numel()) ** 0.5 / group["d"])
            update = _update(group, p, state, row_sums.get(id(p)))  # again: all of them at once would fill the memory
            held(p).mul_(1 - rate * group["weight_decay"]).add_(update, alpha=-alpha / denominator)


def _squares(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None
    return held(parameter.grad).square()


def _first_state(parameter: Any) -> dict[str, Tensor]:
    """The state of `torch.optim.Adafactor` before the first step."""
    part, mesh = held(parameter), parameter.device_mesh
    state = {"step": torch.tensor(0.0)}
    if parameter.dim() < 2:
        return state | {"variance": as_sharded(torch.zeros_like(part), mesh, parameter.shape)}
    *front, inputs, last = parameter.shape
    for key, ends in (("row_var", (inputs, 1)), ("col_var", (1, last))):
        if parameter.dim() == 2 and key == "col_var":
            state[key] = part.new_zeros(ends)  # of all rows: the same on every process
        else:
            shape = torch.Size([*front, *ends])
            state[key] = as_sharded(part.new_zeros([len(part), *shape[1:]]), mesh, shape)
    return state


def _update(group: dict[str, Any], parameter: Tensor, state: dict[str, Any], row_sum: Tensor | None) -> Tensor:
    """The step of the rows that are here, before its size is limited: the gradient over the root of its variance."""
    assert parameter.grad is not None
    small = group["eps"][0] if group["eps"][0] is not None else torch.finfo(parameter.dtype).eps
    if parameter.dim() < 2:
        variance = held(state["variance"]).clone()
    else:
        rows = held(state["row_var"])
        mean = rows.mean(-2, keepdim=True) if row_sum is None else row_sum / len(parameter)
        variance = (rows @ held(state["col_var"])).div_(mean.clamp(min=small))
    return variance.clamp_(min=small * small).rsqrt_().mul_(held(parameter.grad))
