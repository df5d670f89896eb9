"""Gradual pruning with refitting: the remaining inputs take over from removed ones by least squares, at every event."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..base.errors import SecateurError
from ..train.lora import merged_weight
from ..train.sharding import held
from .budget import Keep
from .settings import PruneSettings
from .shrink import Net
from .units import GradualPruner
from .weights.inputs import InputCollector

CALIBRATION_STEPS = 8  # steps before an event whose inputs count


class Refit(GradualPruner[Net]):
    """Gradual pruning after which linear layers that read removed units are refitted (He et al. 2017, arXiv 1707.06168;
    the whole units of the optimal brain surgeon: Kurtic et al. 2023, arXiv 2302.04089).

    The remaining inputs of a linear layer and its bias take over what removed ones contributed, minimising the squared
    error of its outputs on the clips of the last steps. Adam would need hundreds of small steps for the same move.
    Other readers (convolutions, recurrent layers) are only masked.
    """

    def __init__(self, model: Net, settings: PruneSettings, original: float) -> None:
        super().__init__(model, settings, original)
        linear = {f"{n}.weight": m for n, m in model.named_modules() if isinstance(m, nn.Linear)}
        reads = {p.parameter for g in self.competing() for p in g.places if p.reads and p.dim == 1 and p.unit is None}
        self.readers = {name: linear[name] for name in sorted(reads & set(linear))}
        self.inputs = InputCollector(model, self.readers, moments_with_one)

    def collects_inputs(self, step: int, total: int) -> bool:
        """Whether the inputs of this step count."""
        return any(self.event_time(step + ahead, total) is not None for ahead in range(CALIBRATION_STEPS))

    def before_forward(self, step: int, total: int) -> None:
        super().before_forward(step, total)
        if self.collects_inputs(step, total):
            self.inputs.start()

    def after_backward(self, step: int, total: int) -> None:
        if self.collects_inputs(step, total):
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
            present = before[name].expand(1, layer.in_features)[0].bool() if name in before else torch.ones_like(stays)
            if bool((present & ~stays).any()):
                refit(layer, self.inputs.sums[name] / self.inputs.steps, stays)
        self.inputs.reset()

    def finish(self) -> None:
        super().finish()
        self.inputs.reset()

    def tensors(self) -> dict[str, Tensor]:
        # Frozen weights that were refitted are not among those that are trained and stored.
        frozen = {f"refitted.{name}": p for name, p in self._frozen_readers().items()}
        return super().tensors() | self.inputs.tensors() | frozen

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        super().load(tensors)
        self.inputs.load(tensors, next(self.model.parameters()).device)
        with torch.no_grad():
            for name, parameter in self._frozen_readers().items():
                parameter.copy_(tensors[f"refitted.{name}"])

    def _frozen_readers(self) -> dict[str, Tensor]:
        """Weights and biases of the readers that are not trained."""
        parts = {
            f"{name.removesuffix('.weight')}.{part}": getattr(layer, part)
            for name, layer in self.readers.items()
            for part in ("weight", "bias")
        }
        return {name: p for name, p in parts.items() if p is not None and not p.requires_grad}


def moments_with_one(layer: nn.Module, x: Tensor) -> Tensor:
    """[x, 1]^T [x, 1] / positions of what a linear layer reads, (inputs + 1, inputs + 1)."""
    rows = x.float().flatten(0, -2)
    rows = torch.cat([rows, rows.new_ones(len(rows), 1)], 1)
    return rows.T @ rows / len(rows)


@torch.no_grad()
def refit(layer: nn.Linear, moments: Tensor, stays: Tensor, damp: float = 0.01) -> None:
    """Refit the inputs that stay (bool (inputs,)) and the bias of `layer` to its outputs with all inputs, in place.

    Minimises |[x, 1] W^T - [x_stays, 1] V^T|^2 + ridge |V - W_stays|^2 for `moments` as of `moments_with_one`: the
    ridge, `damp` times the mean of the moments' diagonal, keeps the solution near the trained weights. Columns of
    removed inputs become zero.

    Raises:
        SecateurError: moments that are not finite.
    """
    if not bool(moments.isfinite().all()):
        raise SecateurError("refit: the inputs' second moments are not finite; does the training diverge?")
    moments = moments.double()
    has_bias = layer.bias is not None
    kept = torch.cat([stays, stays.new_tensor([has_bias])]).nonzero()[:, 0]
    removed = (~stays).nonzero()[:, 0]
    gram = moments[kept][:, kept]
    ridge = damp * float(moments.diagonal()[:-1].mean()) + 1e-12
    gram = gram + ridge * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    weight = held(layer.weight)  # each process refits the rows that it holds
    lost = held(merged_weight(layer))[:, removed].double()
    moved = torch.linalg.solve(gram, moments[kept][:, removed] @ lost.T).T  # (out, kept)
    columns = kept[kept < layer.in_features]
    weight[:, columns] += moved[:, : len(columns)].to(weight.dtype)
    weight[:, removed] = 0
    if has_bias:
        held(layer.bias).add_(moved[:, -1].to(layer.bias.dtype))
