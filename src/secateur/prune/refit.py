"""Units go, and those that stay take over what they said: least squares at every event of gradual pruning."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..base.errors import SecateurError
from .budget import Keep
from .pruner import GradualPruner
from .settings import PruneSettings
from .shrink import Net
from .weights.inputs import InputCollector

LISTEN = 8  # steps before an event whose inputs count


class Refit(GradualPruner[Net]):
    """Gradual pruning whose linear readers are solved anew when units go (He et al. 2017, arXiv 1707.06168; the whole
    units of the optimal brain surgeon: Kurtic et al. 2023, arXiv 2302.04089).

    What a linear layer reads from units that go is taken over by the units that stay and by its bias, in the least
    squares of its outputs on the clips of the last steps. Adam would need hundreds of small steps for the same move.
    Readers that are no linear layers (a convolution, a recurrent layer) are masked only.
    """

    def __init__(self, model: Net, settings: PruneSettings, original: float) -> None:
        super().__init__(model, settings, original)
        linear = {f"{n}.weight": m for n, m in model.named_modules() if isinstance(m, nn.Linear)}
        reads = {p.parameter for g in self.competing() for p in g.places if p.reads and p.dim == 1 and p.unit is None}
        self.readers = {name: linear[name] for name in sorted(reads & set(linear))}
        self.inputs = InputCollector(model, self.readers, moments_with_one)

    def listens(self, step: int, total: int) -> bool:
        """Whether the inputs of this step count."""
        return any(self.event_time(step + ahead, total) is not None for ahead in range(LISTEN))

    def before_forward(self, step: int, total: int) -> None:
        if self.listens(step, total):
            self.inputs.start()

    def after_backward(self, step: int, total: int) -> None:
        if self.listens(step, total):
            self.inputs.stop()
        super().after_backward(step, total)

    @torch.no_grad()
    def adopt(self, keep: Keep) -> None:
        before = self.masks
        super().adopt(keep)
        for name, layer in self.readers.items():
            if name not in self.masks or name not in self.inputs.sums:
                continue
            stays = self.masks[name].expand(1, layer.in_features)[0].bool()
            stood = before[name].expand(1, layer.in_features)[0].bool() if name in before else torch.ones_like(stays)
            if bool((stood & ~stays).any()):
                refit(layer, self.inputs.sums[name] / self.inputs.steps, stays)
        self.inputs.forget()

    def finish(self) -> None:
        super().finish()
        self.inputs.forget()

    def tensors(self) -> dict[str, Tensor]:
        return super().tensors() | self.inputs.tensors()

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        super().load(tensors)
        self.inputs.load(tensors, next(self.model.parameters()).device)


def moments_with_one(layer: nn.Module, x: Tensor) -> Tensor:
    """[x, 1]^T [x, 1] / positions of what a linear layer reads, (inputs + 1, inputs + 1)."""
    rows = x.float().flatten(0, -2)
    rows = torch.cat([rows, rows.new_ones(len(rows), 1)], 1)
    return rows.T @ rows / len(rows)


@torch.no_grad()
def refit(layer: nn.Linear, moments: Tensor, stays: Tensor, damp: float = 0.01) -> None:
    """Give the inputs that stay (bool (inputs,)), and the bias, what the others contributed to `layer`, in place.

    Minimises |[x, 1] W^T - [x_stays, 1] V^T|^2 + ridge |V - W_stays|^2 for `moments` as of `moments_with_one`: the
    ridge, `damp` times the mean of the moments' diagonal, holds what is solved near what was learnt. Columns of
    inputs that go become zero.

    Raises:
        SecateurError: moments that are not finite.
    """
    if not bool(moments.isfinite().all()):
        raise SecateurError("refit: the inputs' second moments are not finite; does the training diverge?")
    moments = moments.double()
    has_bias = layer.bias is not None
    kept = torch.cat([stays, stays.new_tensor([has_bias])]).nonzero()[:, 0]
    gone = (~stays).nonzero()[:, 0]
    inner = moments[kept][:, kept]
    ridge = damp * float(moments.diagonal()[:-1].mean()) + 1e-12
    inner = inner + ridge * torch.eye(len(inner), dtype=inner.dtype, device=inner.device)
    moved = torch.linalg.solve(inner, moments[kept][:, gone] @ layer.weight[:, gone].double().T).T  # (out, kept)
    columns = kept[kept < layer.in_features]
    layer.weight[:, columns] += moved[:, : len(columns)].to(layer.weight.dtype)
    layer.weight[:, gone] = 0
    if has_bias:
        layer.bias.add_(moved[:, -1].to(layer.bias.dtype))
