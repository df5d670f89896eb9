"""From what each part costs and what its loss does to the error, to how much of each part goes.

Three ways to share a budget out over groups: `uniform` takes the same share of each, `global` ranks all units by their
scores (`budget.by_budget`), `search` takes what does the least harm for what it saves, by measured harm where there is
a sensitivity map and by scores elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..base.errors import SecateurError
from ..models.family import Config
from ..models.groups import Group
from .arrays import Array
from .budget import Cost, Keep, Rung, keep_after, reach, rungs
from .sensitivity_map import SensitivityMap

Curve = Sequence[float] | NDArray[np.floating]  # harm after 0, 1, 2, ... rungs of a group are gone


def uniform(
    config: Config, groups: Iterable[Group], scores: Mapping[str, Array], target: float, cost: Cost, protect: float
) -> Keep:
    """The same share of every group, the least important units, until `cost(config)` is at most `target`.

    Raises:
        SecateurError: not even the share `protect` is enough.
    """
    by_name = {g.name: g for g in groups}
    ladder: list[tuple[float, Rung]] = []
    for group in by_name.values():
        steps = _steps(group, scores, protect)
        ladder += [((i + 1) / (group.units / group.blocks), step) for i, step in enumerate(steps)]
    ladder.sort(key=lambda pair: pair[0])
    return reach(config, by_name, [step for _, step in ladder], target, cost)


def search(
    config: Config, groups: Iterable[Group], scores: Mapping[str, Array], curves: Mapping[str, Curve], target: float,
    cost: Cost, protect: float,
) -> Keep:  # fmt: skip
    """What does the least harm for what it saves goes first, until `cost(config)` is at most `target`.

    Which units of a group go first is for `scores` to say; how many, for `curves` (group to harm). Each curve is
    replaced by its lower convex hull, on which taking the best step again and again is the optimum of the relaxed
    knapsack; what helps (negative harm) goes before everything else.

    Raises:
        SecateurError: the target cannot be reached with these groups.
    """
    by_name, full = {g.name: g for g in groups}, cost(config)
    ladder: list[Rung] = []
    for group in by_name.values():
        steps = _steps(group, scores, protect)
        if not steps:
            continue
        saved = (full - cost(config.shrunk(keep_after(by_name, steps)))) / len(steps)
        slopes = np.diff(hull(curves[group.name][: len(steps) + 1]))
        # Without a saving, harm alone counts: such a group goes last, or first where it helps.
        prices = slopes / max(saved, 1e-12)
        ladder += [Rung(float(p), s.group, s.units) for p, s in zip(prices, steps, strict=True)]
    ladder.sort(key=lambda rung: rung.score)  # stable, and slopes of a hull rise: no rung goes before an earlier one
    return reach(config, by_name, ladder, target, cost)


def _steps(group: Group, scores: Mapping[str, Array], protect: float) -> list[Rung]:
    return rungs(group, scores[group.name])[: int(protect * group.units / group.blocks)]


def hull(curve: Curve) -> NDArray[np.float64]:
    """The lower convex hull of a curve at its own places (harm,).

    >>> hull([0.0, 3.0, 2.0, 6.0]).tolist()
    [0.0, 1.0, 2.0, 6.0]
    """
    corners: list[int] = []
    for i, value in enumerate(curve):
        while len(corners) > 1:
            a, b = corners[-2], corners[-1]
            if (curve[b] - curve[a]) * (i - a) < (value - curve[a]) * (b - a):
                break
            corners.pop()
        corners.append(i)
    lower: NDArray[np.float64] = np.interp(np.arange(len(curve)), corners, [curve[i] for i in corners])
    return lower


def scored_curves(groups: Iterable[Group], scores: Mapping[str, Array]) -> dict[str, Curve]:
    """Harm by scores that are losses and add up (Taylor): the sum of what is gone."""
    return {g.name: np.cumsum([0.0, *(step.score for step in rungs(g, scores[g.name]))]) for g in groups}


def measured_curves(
    groups: Iterable[Group], scored: Mapping[str, Curve], sensitivities: SensitivityMap, measure: str = "loss"
) -> dict[str, Curve]:
    """Harm as a map measured it, in nats a token of its loss or in error rate; between its amounts straight lines.

    Single units of a group (heads) that were measured one by one add up. Beyond the largest amount, and for groups
    that the map lacks, the `scored` curve goes on, in the map's measure.

    Raises:
        SecateurError: the map is of a model with other groups.
    """
    groups = list(groups)
    for group in groups:
        if sensitivities.groups.get(group.name, group.units) != group.units:
            raise SecateurError(
                f"{group.name}: the sensitivity map knows {sensitivities.groups[group.name]} units, the model has "
                f"{group.units}; make the map from the model that is pruned"
            )
    harm = _harm(sensitivities, measure)
    points: dict[str, list[tuple[float, float]]] = {}
    for site in sensitivities.sites:
        removed = site.removed()
        if site.change or len(removed) != 1 or site.name not in harm:
            continue
        ((name, units),) = removed.items()
        points.setdefault(name, []).append((len(units), harm[site.name]))
    own: dict[str, list[tuple[float, float]]] = {}
    rates = []
    for group in groups:
        if group.name in points:
            own[group.name] = _line(points[group.name], group)
            last, value = own[group.name][-1]
            expected = scored[group.name][min(round(last), len(scored[group.name]) - 1)]
            if value > 0 and expected > 0:
                rates.append(value / expected)
    rate = float(np.median(rates)) if rates else 1.0
    curves: dict[str, Curve] = {}
    for group in groups:
        by_score = rate * np.asarray(scored[group.name])
        if group.name not in own:
            curves[group.name] = by_score
            continue
        places, values = (np.array(part) for part in zip(*own[group.name], strict=True))
        curve = np.interp(np.arange(len(by_score)), places, values)
        beyond = np.arange(len(by_score)) > places[-1]
        if beyond.any():
            last = min(int(places[-1]), len(by_score) - 1)
            steepest = max(float(np.diff(values).max() / np.diff(places).max()), 0.0)
            more = np.arange(len(by_score))[beyond] - last
            curve[beyond] = values[-1] + np.maximum(by_score[beyond] - by_score[last], steepest * more)
        curves[group.name] = curve
    return curves


def _harm(sensitivities: SensitivityMap, measure: str) -> dict[str, float]:
    """Nats a token, or errors a word, by site and amount.

    The loss is the default: over a few hundred words the error of the removals that seem to help most is luck, and of
    those that ruin a model it says no more than "all wrong". What was not decoded counts by its loss, at the rate of
    what was (the median).
    """
    losses = {site.name: site.loss.delta for site in sensitivities.sites if site.loss is not None}
    if measure == "loss":
        return losses
    errors = {site.name: site.error.delta for site in sensitivities.sites if site.error is not None}
    rates = [errors[n] / losses[n] for n in errors if losses.get(n, 0.0) > 0 and errors[n] > 0]
    rate = float(np.median(rates)) if rates else 1.0
    return {name: rate * loss for name, loss in losses.items()} | errors


def _line(points: Sequence[tuple[float, float]], group: Group) -> list[tuple[float, float]]:
    """Rungs gone and harm, from (0, 0) on; singles add up, the least harmful first."""
    several = sorted((units / group.blocks, value) for units, value in points if units > 1)
    singles = sorted(value for units, value in points if units == 1)
    if several or not singles:
        return [(0.0, 0.0), *dict(several).items()]
    sums = np.cumsum(singles)
    return [(0.0, 0.0), *((float(i + 1), float(v)) for i, v in enumerate(sums))]


def shares(groups: Iterable[Group], keep: Keep) -> dict[str, float]:
    """A plan as shares that go, by group: what `PruneSettings.amounts` takes, so that units may still be re-ranked."""
    return {g.name: 1 - len(keep[g.name]) / g.units for g in groups if len(keep.get(g.name, ())) not in (0, g.units)}
