"""Removing whole units: what all methods that do so share (groups, budget, masks while training, surgery at the
end), and gradual pruning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from ..base.errors import SecateurError, check_known
from ..models.family import family_of
from ..models.groups import KINDS, Group
from ..train.lora import factor_masks, merged_weights
from ..train.sharding import held, wholes
from .budget import Cost, Keep, by_amounts, by_budget, partial_plan, removed_first
from .evidence import ActivationCollector, TaylorCollector
from .importance import CRITERIA, Evidence
from .method import Method
from .places import kept_units, parameter_masks
from .schedule import SCHEDULES
from .sensitivity_map import read_map
from .settings import PruneSettings
from .shrink import Net, mask_inputs, shrink

COSTS: dict[str, Cost] = {
    "parameters": lambda config: float(family_of(config).parameters(config)),
    "weights": lambda config: float((family_of(config).weights or family_of(config).parameters)(config)),
    "macs": lambda config: float(family_of(config).macs(config, 5.0, 16, False)),  # of a usual clip, not padded
}
__all__ = ["COSTS", "GradualPruner"]


class UnitMethod(Method[Net]):
    """Removes units of `model` (whose vocabulary and contexts were cut before) until the budget is met.

    `original` is the cost of the model before any pruning, which `settings.remove` is a share of. Removed units
    are held at zero until `shrunk` cuts them out. `normalise` and `per_cost`: see `by_budget`.

    Raises:
        SecateurError: settings that name nothing known, or a budget that these kinds cannot reach.
    """

    whole_units = True
    reads = frozenset({"criterion", "map", "kinds", "protect", "measure"})  # the criterion also shares out a target
    normalise, per_cost = False, True

    def __init__(self, model: Net, settings: PruneSettings, original: float) -> None:
        super().__init__(model, settings, original)
        self.cost = COSTS[settings.measure]
        self.start = self.cost(model.config)
        self.target = None if settings.remove is None else original * (1 - settings.remove)
        self.original = original
        self.kinds = self.kinds_of(settings)
        groups = [g for g in model.groups() if g.maskable and g.kind != "vocabulary"]
        # Inputs are pruned only when named, by kind or by name: no wildcard includes them.
        requested = {*self.kinds, *settings.amounts}
        self.groups = [g for g in groups if g.kind not in ("mel", "input") or requested & {g.kind, g.name}]
        self.shapes = {n: t.shape for n, t in model.state_dict().items()}
        self.keep: Keep = {}
        self.frozen: dict[str, Tensor] = {}
        # A budget that cannot be met is an error now, not halfway through the training.
        self.example = self.plan(1.0, {g.name: torch.ones(g.units) for g in self.groups})
        self.done = not self.example  # a budget that is met without removing anything

    @classmethod
    def check(cls, settings: PruneSettings) -> None:
        check_known("criterion", settings.criterion, CRITERIA)
        if "map" in CRITERIA[settings.criterion].needs and not settings.map:
            raise SecateurError(f"the criterion '{settings.criterion}' needs a map: set prune.map to a map.json")
        check_known("schedule", settings.schedule, SCHEDULES)
        for kind in settings.kinds:
            check_known("kind", kind, KINDS)

    def kinds_of(self, settings: PruneSettings) -> tuple[str, ...]:
        """The kinds that compete for a budget."""
        return settings.kinds

    def competing(self) -> list[Group]:
        """The groups that may lose units: those that `settings.amounts` names, or of the kinds that compete."""
        named = set(self.example) if self.settings.amounts else {g.name for g in self.groups if g.kind in self.kinds}
        return [g for g in self.groups if g.name in named]

    def plan(self, share: float, scores: Mapping[str, Tensor]) -> Keep:
        """The units that stay when `share` of the final amount is removed; the lowest `scores` (units,) go first."""
        groups, settings = self.groups, self.settings
        scores = removed_first({g.name: scores[g.name] for g in groups}, self.keep)
        if settings.amounts:
            return partial_plan(groups, scores, by_amounts(groups, scores, settings.amounts), share)
        if self.target is None or self.start <= self.target:
            return {}
        return by_budget(
            self.model.config, groups, scores, self.start - share * (self.start - self.target), self.cost, self.kinds,
            normalise=self.normalise, protect=settings.protect, per_cost=self.per_cost,
        )  # fmt: skip

    def adopt(self, keep: Keep) -> None:
        """Mask the units that `keep` leaves out, from now on."""
        self.keep = keep
        device = next(self.model.parameters()).device
        kept = kept_units(self.groups, keep)
        masks = parameter_masks(self.groups, kept, self.shapes)
        self.masks = {name: m.to(device) for name, m in masks.items()}
        self.masks |= factor_masks(self.model, self.masks)
        self.frozen = {
            n: held(p) for n, p in self.model.named_parameters() if n in self.masks and not p.requires_grad
        }  # of a model of which only low-rank updates are trained
        mask_inputs(self.model, self.groups, kept)

    def project(self, parameters: dict[str, Tensor]) -> None:
        super().project({**self.frozen, **parameters})

    def span(self, total: int) -> tuple[int, int]:
        return round(self.settings.begin * total), max(round(self.settings.end * total), 1)

    def metrics(self) -> dict[str, float]:
        return {"kept": self.cost(self.model.config.shrunk(dict(self.keep))) / self.original}

    def tensors(self) -> dict[str, Tensor]:
        state = {f"keep.{name}": torch.tensor(units) for name, units in self.keep.items()}
        return state | {"done": torch.tensor(int(self.done))}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        self.adopt({n.removeprefix("keep."): t.tolist() for n, t in tensors.items() if n.startswith("keep.")})
        self.done = bool(tensors["done"])
        self.project({})  # frozen weights are not in the state that is resumed

    def shrunk(self) -> Net:
        """The model without what was masked."""
        self.project(dict(self.model.named_parameters()))
        return shrink(self.model, self.keep)


class GradualPruner(UnitMethod[Net]):
    """Ranks units by `settings.criterion` every so many steps and removes the least important, more each time."""

    reads = UnitMethod.reads | {"schedule", "every"}
    low_rank_updates = sharded = one_shot = True

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
