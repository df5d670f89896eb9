"""Layer drop: layers are skipped at random while training, then those that matter least are removed."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ...base.errors import SecateurError
from ..settings import PruneSettings
from ..shrink import Net
from ..units import UnitMethod
from .gating import Gating


class LayerDrop(UnitMethod[Net]):
    """Skips each layer with chance `settings.layer_drop` in every step from `begin` to `end` (Fan et al. 2020, arXiv
    1909.11556), then removes whole layers: `amounts={"encoder.layers": 0.25}`, or by the budget.

    Which go is measured, not every other one: the root mean square over steps of dL/dgate of the layer's branches,
    from the steps that it took part in. A skipped layer learns nothing in its step; nothing is rescaled.
    """

    reads = UnitMethod.reads - {"kinds"} | {"layer_drop"}

    def __init__(self, model: Net, settings: PruneSettings, original: float) -> None:
        super().__init__(model, settings, original)
        if any(g.kind != "layer" for g in self.groups if g.name in self.example):
            raise SecateurError("layer-drop removes whole layers only: let prune.amounts name groups of layers")
        self.layers = [g for g in self.groups if g.kind == "layer"]
        self.gating = Gating(model, self.layers)
        self.sums = torch.zeros(sum(self.gating.sizes))  # of squared slopes
        self.steps_kept = torch.zeros(sum(self.gating.sizes))
        self.gates: Tensor | None = None

    def kinds_of(self, settings: PruneSettings) -> tuple[str, ...]:
        return ("layer",)

    def before_forward(self, step: int, total: int) -> None:
        if self.done or step < self.span(total)[0] or self.gates is not None:
            return
        device = next(self.model.parameters()).device
        self.gates = (torch.rand(len(self.sums), device="cpu") >= self.settings.layer_drop).float().to(device)
        self.gating.save_raw()
        self.gating.write(self.gates)

    def after_backward(self, step: int, total: int) -> None:
        if self.gates is None:
            return
        slope = self.gating.gradient(self.gates)
        self.gating.write(None)
        self.sums = self.sums.to(slope.device) + self.gates * slope.square()
        self.steps_kept = self.steps_kept.to(slope.device) + self.gates
        self.gates, self.gating.raw = None, {}

    def after_step(self, step: int, total: int) -> None:
        if not self.done and step + 1 >= self.span(total)[1]:
            importance = torch.split((self.sums / self.steps_kept.clamp_min(1)).sqrt().cpu(), self.gating.sizes)
            scores = {g.name: torch.ones(g.units) for g in self.groups}
            self.adopt(self.plan(1.0, scores | {g.name: m for g, m in zip(self.layers, importance, strict=True)}))
            self.done = True

    def tensors(self) -> dict[str, Tensor]:
        return super().tensors() | {"sums": self.sums, "seen": self.steps_kept}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        super().load(tensors)
        self.sums, self.steps_kept = tensors["sums"], tensors["seen"]
