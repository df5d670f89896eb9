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
from ..prune.budget import Keep, by_amounts, by_budget, partial_plan, removals, removed_first
from ..prune.importance import CRITERIA, Evidence
from ..prune.sensitivity_map import SensitivityMap, read_map
from .channels import UnknownLayerError
from .evidence import Data, evidence_of
from .sites import MacsOf
from .structure import Structure, structure_of
from .zeros import zeros

MODES = ("shrink", "mask")
ZEROS = "zeros"  # the amount of what is zero already
STEPS = 64
BUDGETS = ("parameters", "macs")


@dataclass(frozen=True)
class Options:
    """What `prune` and `Pruner` share; see `prune`."""

    amount: float | str | Mapping[str, float] = 0.5
    criterion: str = "magnitude"
    data: Data | None = field(default=None, repr=False)
    only: Sequence[str] = ()
    exclude: Sequence[str] = ()
    protect: float = 0.9
    mode: str = "shrink"
    batch_size: int = 64
    seed: int = 0
    measured: SensitivityMap | str | Path | None = field(default=None, repr=False)
    threshold: float = 0.0
    inputs: bool = False
    round_to: int = 1
    budget: str = "parameters"

    def __post_init__(self) -> None:
        check_known("criterion", self.criterion, CRITERIA)
        if "map" in CRITERIA[self.criterion].needs and self.measured is None:
            raise SecateurError(f"criterion '{self.criterion}' needs measured=..., a map of secateur.keras.sensitivity")
        check_known("mode", self.mode, MODES)
        check_known("budget", self.budget, BUDGETS)
        if isinstance(self.amount, str):
            check_known("amount", self.amount, (ZEROS,))
        elif not isinstance(self.amount, Mapping) and not 0 <= self.amount < 1:
            raise SecateurError(f"amount must be from 0 to below 1, found {self.amount}")
        if self.threshold < 0 or self.round_to < 1:
            raise SecateurError(f"threshold >= 0 and round_to >= 1 needed, found {self.threshold} and {self.round_to}")


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
        self.cost = MacsOf(model) if options.budget == "macs" else Structure.parameters
        self.full = self.cost(self.structure)
        self.keep: Keep = {}
        self.map = _map(options.measured)
        self._reachable()

    def _followed(self, inputs: Any) -> Structure:
        """The structure; masks make do with less, but only where the model cannot be followed."""
        o, excluded = self.options, self.options.exclude
        try:
            return structure_of(
                self.model, lambda name: _any(name, excluded), False, inputs, self.learning, self.options.inputs
            )
        except UnknownLayerError:
            if o.mode != "mask":
                raise
            return structure_of(
                self.model, lambda name: _any(name, excluded), True, inputs, self.learning, self.options.inputs
            )

    def advance(self, share: float) -> Keep:
        """Rank all units now; the plan when `share` of the final amount is gone."""
        o = self.options
        if o.amount == ZEROS:
            self.keep = zeros(self.model, self.structure, self.groups, o.threshold)
            return self.keep
        evidence = evidence_of(self.model, self.structure, self.groups, o.criterion, o.data, o.batch_size, o.seed)
        evidence.map = self.map
        self.keep = self.plan(share, self.scores(evidence))
        return self.keep

    def word(self) -> str:
        """What is to be said about the last plan: that it is not the amount that was asked for; else nothing."""
        asked = self.options.amount
        if isinstance(asked, str | Mapping) or not asked:
            return ""
        got = 1 - self.cost(self.pruned) / self.full
        if abs(got - asked) <= 0.01:
            return ""
        return f"amount {asked:g} was asked, {got:.3f} of the {self.options.budget} goes: whole units are larger steps"

    def scores(self, evidence: Evidence) -> dict[str, Any]:
        """By group, (units,); what scores lowest goes first."""
        return {g.name: CRITERIA[self.options.criterion](g, evidence) for g in self.groups}

    def plan(self, share: float, scores: Mapping[str, Any]) -> Keep:
        """The units that stay when `share` of the final amount is gone."""
        amount: Any = self.options.amount
        scores = removed_first(scores, self.keep)
        if isinstance(amount, Mapping):
            plan = partial_plan(self.groups, scores, by_amounts(self.groups, scores, amount), share)
            return self._rounded(plan, scores)
        target = self.full * (1 - share * amount)
        keep = self._within(target, scores)
        if share == 1:
            keep = self._closer(keep, scores, target)
        keep = self._rounded(keep, scores)
        for part in range(1, STEPS) if self.options.round_to > 1 else ():  # steps give units back: more goes first
            if self.cost(self.structure.shrunk(keep)) <= target:
                break
            try:
                keep = self._rounded(self._within(target * (1 - part / STEPS), scores), scores)
            except SecateurError:  # no more may go
                break
        return self._steps_back(keep, scores, target) if self.options.round_to > 1 else keep

    def _steps_back(self, keep: Keep, scores: Mapping[str, Any], target: float) -> Keep:
        """Give back whole steps that fit."""
        for group in self.groups:
            if group.name not in keep or group.blocks > 1:
                continue
            free = set(self.keep.get(group.name, range(group.units))) - set(keep[group.name])
            order = sorted(free, key=lambda unit: -float(scores[group.name][unit]))
            for start in range(0, len(order), self.options.round_to):
                step = order[start : start + self.options.round_to]
                more = {**keep, group.name: sorted({*keep[group.name], *step})}
                if self.cost(self.structure.shrunk(more)) > target:
                    break
                keep = more
        return keep

    def _within(self, target: float, scores: Mapping[str, Any]) -> Keep:
        """The plan whose cost is at most `target`."""
        structure: Any = self.structure
        losses = CRITERIA[self.options.criterion].is_loss
        return by_budget(
            structure, self.groups, scores, target, self.cost, {g.kind for g in self.groups}, normalise=not losses,
            protect=self.options.protect, per_cost=losses,
        )  # fmt: skip

    def _closer(self, keep: Keep, scores: Mapping[str, Any], target: float) -> Keep:
        """Give back what fits: the last unit that went was larger than what was left to go."""
        groups = {group.name: group for group in self.groups}
        for name in sorted(keep, key=lambda one: self.cost(self.structure.shrunk({one: keep[one]}))):
            for step in reversed(removals(groups[name], scores[name])):
                if step.units[0] in keep[name]:
                    continue
                more = {**keep, name: sorted({*keep[name], *step.units})}
                back = set(more[name]) - set(self.keep.get(name, more[name]))  # what an earlier plan removed stays gone
                if back or self.cost(self.structure.shrunk(more)) > target:
                    break
                keep = more
        return keep

    def _rounded(self, keep: Keep, scores: Mapping[str, Any]) -> Keep:
        """As many units in every block as `round_to` divides: the most important of what would go stay."""
        size, found = self.options.round_to, {}
        for group in self.groups if size > 1 else ():
            if group.name in keep:
                width, kept = group.units // group.blocks, set(keep[group.name])
                more = min(-(-len(kept) // group.blocks // size) * size, width) - len(kept) // group.blocks
                free = set(self.keep.get(group.name, range(group.units))) - kept
                order = sorted(free, key=lambda unit: -float(scores[group.name][unit]))
                for block in range(group.blocks):
                    kept |= set([unit for unit in order if unit // width == block][:more])
                found[group.name] = sorted(kept)
        return {**keep, **found}

    @property
    def pruned(self) -> Structure:
        """The structure without what the last plan leaves out."""
        return self.structure.shrunk(self.keep)

    def _reachable(self) -> None:
        """Refuse an amount that is too much before anything is measured."""
        ones = {g.name: np.ones(g.units, np.float32) for g in self.groups}
        if self.options.amount == ZEROS:
            return
        if isinstance(self.options.amount, Mapping) or not self.options.amount:
            self.plan(1.0, ones)
            return
        protect = self.options.protect
        most = {}
        for group in self.groups:
            size = group.units // group.blocks
            left = size - min(int(protect * size), max(size - group.minimum, 0))
            most[group.name] = [b * size + u for b in range(group.blocks) for u in range(left)]
        share = 1 - self.cost(self.structure.shrunk(most)) / self.full
        if share < float(self.options.amount):
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
