"""Gradual pruning while training: a callback that ranks, masks, and at the end shrinks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from ..train.lora import merged_weights
from ..train.sharding import wholes
from .evidence import ActivationCollector, TaylorCollector
from .importance import CRITERIA, Evidence
from .schedule import SCHEDULES
from .sensitivity_map import read_map
from .settings import PruneSettings
from .shrink import Net
from .units import COSTS, UnitMethod

__all__ = ["COSTS", "GradualPruner"]


class GradualPruner(UnitMethod[Net]):
    """Ranks units by `settings.criterion` every so many steps and removes the least important, more each time."""

    reads = UnitMethod.reads | {"schedule", "every"}
    low_rank_updates = True
    sharded = True

    def __init__(self, model: Net, settings: PruneSettings, original: float) -> None:
        self.criterion = CRITERIA.find(settings.criterion)
        needs = self.criterion.needs
        self.per_cost = self.criterion.is_loss
        self.normalise = not self.per_cost
        super().__init__(model, settings, original)
        self.map = read_map(settings.map) if "map" in needs else None
        # Signed terms cancel: they need every batch so far, while squares may decay as the network changes.
        self.taylor = TaylorCollector(model, self.groups, decay=1.0 if "signed" in needs else 0.97)
        self.activations: ActivationCollector | None = None
        if "activations" in needs and not self.done:
            self.activations = ActivationCollector(model)
            self.activations.__enter__()

    def evidence(self) -> Evidence:
        """The evidence gathered while training so far."""
        evidence = Evidence(
            weights=wholes(merged_weights(self.model)),
            taylor=self.taylor.means(),
            signed=self.taylor.signed_means(),
            seed=self.settings.seed,
        )
        if self.activations is not None:
            evidence.inputs, evidence.outputs = self.activations.norms()
        return evidence

    def rank(self, share: float, evidence: Evidence) -> dict[str, list[int]]:
        """The units that stay when `share` of the final amount is gone."""
        evidence = replace(evidence, map=self.map)
        return self.plan(share, {g.name: self.criterion(g, evidence) for g in self.groups})

    def prune_to(self, share: float, evidence: Evidence | None = None) -> None:
        """Rank and mask now, by `evidence` or by what was gathered while training."""
        self.adopt(self.rank(share, evidence or self.evidence()))

    def before_forward(self, step: int, total: int) -> None:
        if self._gathers():
            self.taylor.watch()

    def after_backward(self, step: int, total: int) -> None:
        if self._gathers():
            self.taylor.update()

    def _gathers(self) -> bool:
        """Whether gradients are evidence and still needed."""
        return not self.done and bool({"taylor", "signed"} & {*self.criterion.needs})

    def after_step(self, step: int, total: int) -> None:
        time = self.event_time(step, total)
        if time is not None:
            self.prune_to(SCHEDULES[self.settings.schedule](time))
            if time == 1.0 or self.settings.schedule == "one-shot":
                self.finish()

    def finish(self) -> None:
        """End pruning; the rest of the training recovers."""
        self.done = True
        if self.activations is not None:
            self.activations.__exit__()

    def tensors(self) -> dict[str, Tensor]:
        return super().tensors() | self.taylor.tensors()

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        super().load(tensors)
        self.taylor.load(dict(tensors), next(self.model.parameters()).device)
