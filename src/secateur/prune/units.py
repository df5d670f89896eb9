"""What all methods that remove whole units share: groups, budget, masks while training, surgery at the end."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..base.errors import SecateurError, check_known
from ..models.family import family_of
from ..models.groups import KINDS, Group
from ..train.lora import factor_masks
from ..train.sharding import held
from .budget import Cost, Keep, by_amounts, by_budget, partial_plan, removed_first
from .importance import CRITERIA
from .method import Method
from .places import kept_units, parameter_masks
from .schedule import SCHEDULES
from .settings import PruneSettings
from .shrink import Net, mask_inputs, shrink

COSTS: dict[str, Cost] = {
    "parameters": lambda config: float(family_of(config).parameters(config)),
    "weights": lambda config: float((family_of(config).weights or family_of(config).parameters)(config)),
    "macs": lambda config: float(family_of(config).macs(config, 5.0, 16, False)),  # of a usual clip, not padded
}


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
