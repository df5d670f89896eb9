"""Which units go: the core's criteria and budgets, on the groups of a Keras model."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base.errors import SecateurError, nearest
from ..models.groups import Group
from ..prune.budget import Keep, by_amounts, by_budget, partial_plan, removals, removed_first
from ..prune.importance import CRITERIA, Evidence
from ..prune.sensitivity_map import SensitivityMap, read_map
from .channels import UnknownLayerError
from .data import SampleBatches
from .evidence import check_finite, evidence_of
from .inputs import check_model
from .masks import Masks, masks_of
from .options import ZEROS, Options, any_matches, matches
from .sites import MacsOf
from .structure import Structure, structure_of
from .zeros import zeros

if TYPE_CHECKING:
    from keras import Model

STEPS = 64
Share = float | Callable[[str], float]


class Planner:
    """Plans for one model; each goes on from the one before it.

    Raises:
        SecateurError: see `prune`.
    """

    def __init__(self, model: Model, options: Options, learning: bool = False) -> None:
        check_model(model)
        options.check_data(model)
        self.model, self.options, self.learning = model, options, learning
        self.data = None if options.data is None else SampleBatches(options.data, model, options.batch_size)
        graph = self.data is None or getattr(model, "inputs", None)
        self.structure = self._followed(None if graph or self.data is None else self.data.first().x)
        self.groups = self._chosen()
        self.cost = MacsOf(model) if options.budget == "macs" else Structure.parameters
        self.full = self.cost(self.structure)
        self.keep: Keep = {}
        self.map = _map(options.measured)
        self._reachable()

    def _followed(self, inputs: object) -> Structure:
        """The structure; masks make do with less, but only where the model cannot be followed."""
        o, excluded = self.options, self.options.exclude
        try:
            return structure_of(
                self.model, lambda name: any_matches(name, excluded), False, inputs, self.learning, self.options.inputs
            )
        except UnknownLayerError:
            if o.mode != "mask":
                raise
            return structure_of(
                self.model, lambda name: any_matches(name, excluded), True, inputs, self.learning, self.options.inputs
            )

    def advance(self, share: Share) -> Keep:
        """Rank all units now; the plan when `share` of the final amount is removed, of all groups or by their name."""
        o = self.options
        if o.amount == ZEROS:
            self.keep = zeros(self.model, self.structure, self.groups, o.threshold)
            return self.keep
        evidence = evidence_of(self.model, self.structure, self.groups, o.criterion, self.data, o.seed)
        evidence.map = self.map
        self.keep = self.plan(share, self.scores(evidence))
        return self.keep

    @property
    def variables(self) -> dict[str, Any]:
        """By the names that masks have."""
        return {name: use.variable for name, use in self.structure.channels.uses.items()}

    def masks(self) -> Masks:
        """Of the last plan, by variable; broadcast over it."""
        return masks_of(self.structure, self.keep)

    def kept(self) -> float:
        """The share of the cost that is left."""
        return self.cost(self.pruned) / self.full

    def word(self, options: Options | None = None, removed: float | None = None) -> str:
        """What is to be said about the last plan: that it is not the amount that was asked for (in `options`, of which
        `removed` goes, where time was measured); else nothing."""
        options = options or self.options
        asked = options.amount
        if isinstance(asked, str | Mapping) or not asked:
            return ""
        got = 1 - self.kept() if removed is None else removed
        if abs(got - asked) <= 0.01:
            return ""
        return f"amount {asked:g} was asked, {got:.3f} of the {options.budget} goes: whole units are larger steps"

    def scores(self, evidence: Evidence) -> dict[str, Any]:
        """By group, (units,); what scores lowest goes first."""
        asked = self.options.amount
        groups = [
            g
            for g in self.groups
            if not isinstance(asked, Mapping) or any(g.kind == p or fnmatch.fnmatchcase(g.name, p) for p in asked)
        ]
        result = {g.name: CRITERIA[self.options.criterion](g, evidence) for g in groups}
        check_finite(self.options.criterion, result)
        return result

    def plan(self, share: Share, scores: Mapping[str, object]) -> Keep:
        """The units that stay when `share` of the final amount is removed."""
        amount: Any = self.options.amount
        scores = removed_first(scores, self.keep)
        if isinstance(amount, Mapping):
            final = by_amounts(self.groups, scores, amount)
            plan: Keep = {}
            for name, units in final.items():
                part = share(name) if callable(share) else share
                plan |= partial_plan(self.groups, scores, {name: units}, part)
            return self._rounded(plan, scores)
        if callable(share):
            raise SecateurError("schedules by layer need amounts by layer: give amount={'conv*': 0.3, ...} with them")
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

    def _within(self, target: float, scores: Mapping[str, object]) -> Keep:
        """The plan whose cost is at most `target`."""
        structure: Any = self.structure
        losses = CRITERIA[self.options.criterion].is_loss
        return by_budget(
            structure, self.groups, scores, target, self.cost, {g.kind for g in self.groups}, normalise=not losses,
            protect=self.options.protect, per_cost=losses,
        )  # fmt: skip

    def _closer(self, keep: Keep, scores: Mapping[str, object], target: float) -> Keep:
        """Give back what fits: the last unit that went was larger than what was left to go."""
        groups = {group.name: group for group in self.groups}
        for name in sorted(keep, key=lambda one: self.cost(self.structure.shrunk({one: keep[one]}))):
            for step in reversed(removals(groups[name], scores[name])):
                if step.units[0] in keep[name]:
                    continue
                more = {**keep, name: sorted({*keep[name], *step.units})}
                back = set(more[name]) - set(
                    self.keep.get(name, more[name])
                )  # what an earlier plan removed stays removed
                if back or self.cost(self.structure.shrunk(more)) > target:
                    break
                keep = more
        return keep

    def _rounded(self, keep: Keep, scores: Mapping[str, Any]) -> Keep:
        """As many units in every block as `round_to` divides: the most important of what would go stay."""
        size, result = self.options.round_to, {}
        for group in self.groups if size > 1 else ():
            if group.name in keep:
                width, kept = group.units // group.blocks, set(keep[group.name])
                more = min(-(-len(kept) // group.blocks // size) * size, width) - len(kept) // group.blocks
                free = set(self.keep.get(group.name, range(group.units))) - kept
                order = sorted(free, key=lambda unit: -float(scores[group.name][unit]))
                for block in range(group.blocks):
                    kept |= set([unit for unit in order if unit // width == block][:more])
                result[group.name] = sorted(kept)
        return {**keep, **result}

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
            if not any(matches(name, pattern) for name in names):
                raise SecateurError(f"no layer matches '{pattern}'{nearest(pattern, names)}")
        chosen = [
            group
            for group in structure.groups
            if not any(any_matches(layer, exclude) for layer in structure.layers[group.name])
            and (not only or all(any_matches(layer, only) for layer in structure.layers[group.name]))
        ]
        if not chosen:
            raise SecateurError(f"model '{self.model.name}': no units may go: {self._reasons()}")
        return chosen

    def _reasons(self) -> str:
        """Why the layers that were asked for stay whole."""
        structure, only = self.structure, self.options.only
        whole = {**structure.whole, **structure.channels.left}
        result = [f"'{n}': {why}" for n, why in whole.items() if not only or any_matches(n, only)]
        result += [
            f"{' and '.join(repr(n) for n in layers)} go together"
            for layers in structure.layers.values()
            if len(layers) > 1 and any(any_matches(n, only) for n in layers)
        ]
        return "; ".join(result) or "it has no layers with units, or all of them are excluded"


def _map(measured: SensitivityMap | str | Path | None) -> SensitivityMap | None:
    return read_map(measured) if isinstance(measured, str | Path) else measured
