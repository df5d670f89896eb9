"""From scores to a plan, the units that stay of each group, under a budget in parameters or MACs.

`by_amounts` removes the same share of every matching group (by name pattern). `by_budget` ranks all units of the chosen
kinds together and removes the least important until the model is small enough; what a removal saves is counted on the
real config, so overlapping groups are not counted twice.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..base.errors import SecateurError, nearest
from ..models.family import Config
from ..models.groups import KINDS, Group
from .places import Array, numbers
from .settings import GLOBAL_KINDS

Keep = dict[str, list[int]]
Cost = Callable[[Any], float]


@dataclass(frozen=True)
class Removal:
    """Units of one group that are removed together: one unit, or the r-th least important of every block."""

    score: float
    group: str
    units: tuple[int, ...]


def removals(group: Group, scores: Array) -> list[Removal]:
    """The group's removals from the least important on; `minimum` units of every block never appear."""
    size = group.units // group.blocks
    values = numbers(scores).reshape(group.blocks, size)
    order = values.argsort(axis=1, kind="stable")
    steps = []
    for r in range(max(size - group.minimum, 0)):
        score = sum(float(values[b, order[b, r]]) for b in range(group.blocks))
        steps.append(Removal(score, group.name, tuple(int(order[b, r]) + b * size for b in range(group.blocks))))
    return steps


def kept_after(groups: Mapping[str, Group], removed: Iterable[Removal]) -> Keep:
    """The plan after the removals `removed`; it names only groups that lose units."""
    removed_units: dict[str, set[int]] = {}
    for removal in removed:
        removed_units.setdefault(removal.group, set()).update(removal.units)
    return {name: [u for u in range(groups[name].units) if u not in units] for name, units in removed_units.items()}


def by_amounts(groups: Iterable[Group], scores: Mapping[str, Array], amounts: Mapping[str, float]) -> Keep:
    """Each group whose name or kind matches a pattern loses that share of its units, the least important ones.

    Later patterns win. `{"ffn": 0.2, "decoder.layers.*.self_attention.heads": 0.5}`.

    Raises:
        SecateurError: a pattern that matches nothing (with the nearest name), or a share outside 0 to 1.
    """
    by_name = {g.name: g for g in groups}
    share: dict[str, float] = {}
    for pattern, amount in amounts.items():
        if not 0 <= amount < 1:
            raise SecateurError(f"amount of '{pattern}' must be from 0 to below 1, found {amount}")
        matches = [g.name for g in by_name.values() if g.kind == pattern or fnmatch.fnmatchcase(g.name, pattern)]
        if not matches and pattern in KINDS:
            kinds = ", ".join(sorted({g.kind for g in by_name.values()}))
            raise SecateurError(f"no group is of kind '{pattern}': the model's groups are of {kinds}")
        if not matches:
            raise SecateurError(f"no group or kind matches '{pattern}'{nearest(pattern, [*by_name, *KINDS])}")
        share |= dict.fromkeys(matches, amount)
    removed: list[Removal] = []
    for name, amount in share.items():
        group = by_name[name]
        steps = removals(group, scores[name])
        removed += steps[: min(round(amount * group.units / group.blocks), len(steps))]
    return kept_after(by_name, removed)


def by_budget(
    config: Config,
    groups: Iterable[Group],
    scores: Mapping[str, Array],
    target: float,
    cost: Cost,
    kinds: Iterable[str] = GLOBAL_KINDS,
    normalise: bool = False,
    protect: float = 0.9,
    per_cost: bool = True,
) -> Keep:
    """Remove the units that matter least for what they cost until `cost(config)` is at most `target`.

    Units of all `kinds` compete by score per unit of cost, which is right for scores that are losses; with
    `per_cost=False` by score alone, the mean of those that go together. `normalise` first divides each group's scores
    by their mean, for magnitudes, which are not comparable between layers; as a head then scores as much as one FFN
    unit, it goes with `per_cost=False`, or heads alone would go. No group loses more than the share `protect`.

    Raises:
        SecateurError: the target cannot be reached with these kinds.
    """
    by_name = {g.name: g for g in groups if g.kind in tuple(kinds)}
    full = cost(config)
    if full <= target:
        return {}
    ordered: list[Removal] = []
    for group in by_name.values():
        score = numbers(scores[group.name])
        if normalise:
            score = score / max(float(score.mean()), 1e-30)
        steps = removals(group, score)[: int(protect * group.units / group.blocks)]
        if not steps:
            continue
        saved = full - cost(config.shrunk(kept_after(by_name, steps[:1])))
        price = max(saved, 1e-9) if per_cost else group.blocks
        ordered += [Removal(s.score / price, s.group, s.units) for s in steps]
    # Within a group removals stay in order: their scores rise, and the sort is stable.
    ordered.sort(key=lambda removal: removal.score)
    return remove_until(config, by_name, ordered, target, cost)


def remove_until(
    config: Config, by_name: Mapping[str, Group], ordered: Sequence[Removal], target: float, cost: Cost
) -> Keep:
    """The plan after the first removals in `ordered`, as few as bring `cost(config)` to at most `target`.

    Raises:
        SecateurError: all of them are not enough.
    """

    def cost_after(count: int) -> float:
        return cost(config.shrunk(kept_after(by_name, ordered[:count])))

    if (least := cost_after(len(ordered))) > target:
        raise SecateurError(
            f"the budget cannot be reached: with every unit gone that may go, {least:.3g} are left, "
            f"{least / target:.2g} times the {target:.3g} that were asked for; remove a smaller share, or allow more "
            "(prune.kinds, prune.protect, prune.vocabulary)"
        )
    low, high = 0, len(ordered)
    while low < high:
        middle = (low + high) // 2
        if cost_after(middle) <= target:
            high = middle
        else:
            low = middle + 1
    return kept_after(by_name, ordered[:low])


def removed_first(scores: Mapping[str, Array], keep: Keep) -> dict[str, Array]:
    """Copies of `scores` in which units removed by an earlier plan `keep` score lowest, so that they stay removed."""
    ranked: dict[str, Array] = {name: numbers(values) for name, values in scores.items()}
    for name, kept in keep.items():
        removed_units = np.ones(len(ranked[name]), bool)
        removed_units[kept] = False
        ranked[name][removed_units] = min(float(ranked[name].min()), 0.0) - 1.0
    return ranked


def merge(*plans: Keep) -> Keep:
    """Several plans at once: a unit stays when every plan that names its group keeps it."""
    merged: Keep = {}
    for plan in plans:
        for name, units in plan.items():
            merged[name] = sorted(set(merged[name]) & set(units)) if name in merged else sorted(units)
    return merged


def partial_plan(groups: Iterable[Group], scores: Mapping[str, Array], final: Keep, share: float) -> Keep:
    """Part of the plan `final`: of the units that each group loses in it, the least important `share`."""
    by_name = {g.name: g for g in groups}
    removed: list[Removal] = []
    for name, units in final.items():
        group, kept = by_name[name], set(units)
        blocked = numbers(scores[name])
        blocked[sorted(kept)] = np.inf  # only units that the final plan removes are candidates
        count = (group.units - len(kept)) // group.blocks
        removed += removals(group, blocked)[: round(share * count)]
    return kept_after(by_name, removed)
