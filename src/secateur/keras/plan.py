"""Which units go: the core's criteria and budgets, on the groups of a Keras model."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..base.errors import SecateurError, check_known, nearest
from ..models.groups import Group
from ..prune.budget import Keep, by_amounts, by_budget, partial_plan, removed_first
from ..prune.importance import CRITERIA, Evidence
from ..prune.sensitivity_map import SensitivityMap, read_map
from .channels import UnknownLayerError
from .evidence import Data, evidence_of
from .structure import Structure, structure_of

MODES = ("shrink", "mask")


@dataclass(frozen=True)
class Options:
    """What `prune` and `Pruner` share; see `prune`."""

    amount: float | Mapping[str, float] = 0.5
    criterion: str = "magnitude"
    data: Data | None = field(default=None, repr=False)
    only: Sequence[str] = ()
    exclude: Sequence[str] = ()
    protect: float = 0.9
    mode: str = "shrink"
    batch_size: int = 64
    seed: int = 0
    measured: SensitivityMap | str | Path | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_known("criterion", self.criterion, CRITERIA)
        if "map" in CRITERIA[self.criterion].needs and self.measured is None:
            raise SecateurError(f"criterion '{self.criterion}' needs measured=..., a map of secateur.keras.sensitivity")
        check_known("mode", self.mode, MODES)
        if not isinstance(self.amount, Mapping) and not 0 <= self.amount < 1:
            raise SecateurError(f"amount must be from 0 to below 1, found {self.amount}")


class Planner:
    """Plans for one model; each goes on from the one before it.

    Raises:
        SecateurError: see `prune`.
    """

    def __init__(self, model: Any, options: Options, learning: bool = False) -> None:
        self.model, self.options, self.learning = model, options, learning
        inputs = options.data[0] if isinstance(options.data, tuple) else None
        self.structure = self._followed(inputs)
        self.groups = self._chosen()
        self.full = self.structure.parameters()
        self.keep: Keep = {}
        self.map = _map(options.measured)
        self._reachable()

    def _followed(self, inputs: Any) -> Structure:
        """The structure; masks make do with less, but only where the model cannot be followed."""
        excluded = self.options.exclude
        try:
            return structure_of(self.model, lambda name: _any(name, excluded), False, inputs, self.learning)
        except UnknownLayerError:
            if self.options.mode != "mask":
                raise
            return structure_of(self.model, lambda name: _any(name, excluded), True, inputs, self.learning)

    def advance(self, share: float) -> Keep:
        """Rank all units now; the plan when `share` of the final amount is gone."""
        o = self.options
        evidence = evidence_of(self.model, self.structure, self.groups, o.criterion, o.data, o.batch_size, o.seed)
        evidence.map = self.map
        self.keep = self.plan(share, self.scores(evidence))
        return self.keep

    def scores(self, evidence: Evidence) -> dict[str, Any]:
        """By group, (units,); what scores lowest goes first."""
        return {g.name: CRITERIA[self.options.criterion](g, evidence) for g in self.groups}

    def plan(self, share: float, scores: Mapping[str, Any]) -> Keep:
        """The units that stay when `share` of the final amount is gone."""
        amount, losses = self.options.amount, CRITERIA[self.options.criterion].is_loss
        scores = removed_first(scores, self.keep)
        if isinstance(amount, Mapping):
            return partial_plan(self.groups, scores, by_amounts(self.groups, scores, amount), share)
        structure: Any = self.structure
        return by_budget(
            structure, self.groups, scores, self.full * (1 - share * amount), Structure.parameters,
            {g.kind for g in self.groups}, normalise=not losses, protect=self.options.protect, per_cost=losses,
        )  # fmt: skip

    @property
    def pruned(self) -> Structure:
        """The structure without what the last plan leaves out."""
        return self.structure.shrunk(self.keep)

    def _reachable(self) -> None:
        """Refuse an amount that is too much before anything is measured."""
        ones = {g.name: np.ones(g.units, np.float32) for g in self.groups}
        if isinstance(self.options.amount, Mapping) or not self.options.amount:
            self.plan(1.0, ones)
            return
        protect = self.options.protect
        most = {}
        for group in self.groups:
            size = group.units // group.blocks
            left = size - min(int(protect * size), max(size - group.minimum, 0))
            most[group.name] = [b * size + u for b in range(group.blocks) for u in range(left)]
        share = 1 - self.structure.shrunk(most).parameters() / self.full
        if share < self.options.amount:
            whole = self._reasons()
            raise SecateurError(
                f"amount {self.options.amount:g} cannot be reached: without more than {protect:g} of any group's units "
                f"at most {share:.2f} of the parameters can go; layers that stay whole: {whole}"
            )

    def _chosen(self) -> list[Group]:
        """The groups that may lose units; a group of several layers only where all of them may."""
        structure, only, exclude = self.structure, self.options.only, self.options.exclude
        names = [layer.name for layer in self.model._flatten_layers(include_self=False)]
        names += structure.channels.calls
        for pattern in (*only, *exclude):
            if not any(_matches(name, pattern) for name in names):
                raise SecateurError(f"no layer matches '{pattern}'{nearest(pattern, names)}")
        chosen = [
            group for group in structure.groups
            if not any(_any(layer, exclude) for layer in structure.layers[group.name])
            and (not only or all(_any(layer, only) for layer in structure.layers[group.name]))
        ]  # fmt: skip
        if not chosen:
            raise SecateurError(f"model '{self.model.name}': no units may go: {self._reasons()}")
        return chosen

    def _reasons(self) -> str:
        """Why the layers that were asked for stay whole."""
        structure, only = self.structure, self.options.only
        whole = {**structure.whole, **structure.channels.left}
        found = [f"'{n}': {why}" for n, why in whole.items() if not only or _any(n, only)]
        found += [
            f"{' and '.join(repr(n) for n in layers)} go together" for layers in structure.layers.values()
            if len(layers) > 1 and any(_any(n, only) for n in layers)
        ]  # fmt: skip
        return "; ".join(found) or "it has no layers with units, or all of them are excluded"


def _map(measured: SensitivityMap | str | Path | None) -> SensitivityMap | None:
    return read_map(measured) if isinstance(measured, str | Path) else measured


def _any(name: str, patterns: Iterable[str]) -> bool:
    return any(_matches(name, pattern) for pattern in patterns)


def _matches(name: str, pattern: str) -> bool:
    """A pattern is of the whole path, of a model in it, or of the last name."""
    parts = name.split("/")
    paths = ["/".join(parts[: n + 1]) for n in range(len(parts))]
    return any(fnmatch.fnmatchcase(one, pattern) for one in (*paths, parts[-1]))
