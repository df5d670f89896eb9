"""The optimiser of a run, AdamW or Adafactor (whose state is a row and a column a matrix), and its learning rate."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from ..base.files import Json
from .distributed import all_reduce_sum
from .settings import TrainSettings
from .sharding import as_sharded, held

# Adafactor's rate is relative: a step is this times the root mean square of the weights (Shazeer and Stern 2018, arXiv
# 1804.04235). Linear layers of pretrained Transformers are near 0.04, so that a rate of AdamW moves them as far.
RELATIVE = 25.0


def make_optimizer(
    parameters: Iterable[nn.Parameter], extra: Iterable[nn.Parameter], settings: TrainSettings, device: torch.device
) -> torch.optim.Optimizer:
    """The optimiser of `settings`: weights decay, biases and norms do not; `extra` have a rate of their own.

    The loop sets every group's `lr` to the rate of the step times the group's `times`.
    """
    parameters, extra = list(parameters), list(extra)
    adafactor = settings.optimizer == "adafactor"
    times = RELATIVE if adafactor else 1.0
    groups: list[Json] = [
        {
            "params": [p for p in parameters if p.dim() > 1],
            "weight_decay": settings.weight_decay / times,
            "times": times,
        },
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0, "times": times},
    ]
    if extra:
        groups.append({"params": extra, "weight_decay": 0.0, "times": times * settings.auxiliary_rate})
    if adafactor and any(hasattr(p, "to_local") for p in parameters):
        return ShardedAdafactor(groups, lr=settings.learning_rate)
    if adafactor:  # one matrix after the other: `foreach` would hold all updates at once
        return torch.optim.Adafactor(groups, lr=settings.learning_rate, foreach=False)
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.98), fused=device.type == "cuda")


def rate_at(step: int, total: int, settings: TrainSettings) -> float:
    """Learning rate of `step`: linear warm-up, then a cosine (Loshchilov and Hutter 2017, arXiv 1608.03983)."""
    warm = max(1, round(settings.warmup * total))
    if step < warm:
        return settings.learning_rate * (step + 1) / warm
    progress = (step - warm) / max(1, total - warm)
    floor = settings.final_rate
    return settings.learning_rate * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress)))


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
