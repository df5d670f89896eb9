"""How much of each group to remove, from what it costs and from the loss increase without it.

Three ways to share a budget out over groups: `uniform` takes the same share of each, `global` ranks all units by their
scores (`budget.by_budget`), `search` removes what raises the loss least for what it saves, as measured where there is a
sensitivity map and by scores elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..base.errors import SecateurError
from ..models.family import Config
from ..models.groups import Group
from .budget import Cost, Keep, Removal, kept_after, removals, remove_until
from .places import Array
from .sensitivity_map import SensitivityMap

Curve = Sequence[float] | NDArray[np.floating]  # loss increase after 0, 1, 2, ... removals of a group


def uniform(
    config: Config, groups: Iterable[Group], scores: Mapping[str, Array], target: float, cost: Cost, protect: float
) -> Keep:
    """The same share of every group, the least important units, until `cost(config)` is at most `target`.

    Raises:
        SecateurError: not even the share `protect` is enough.
    """
    by_name = {g.name: g for g in groups}
    ordered: list[tuple[float, Removal]] = []
    for group in by_name.values():
        steps = _steps(group, scores, protect)
        ordered += [((i + 1) / (group.units / group.blocks), step) for i, step in enumerate(steps)]
    ordered.sort(key=lambda pair: pair[0])
    return remove_until(config, by_name, [step for _, step in ordered], target, cost)


def search(
    config: Config, groups: Iterable[Group], scores: Mapping[str, Array], curves: Mapping[str, Curve], target: float,
    cost: Cost, protect: float,
) -> Keep:  # fmt: skip
    """Remove first what raises the loss least for what it saves, until `cost(config)` is at most `target`.

    `scores` rank the units within a group; `curves` (group to loss increase) decide how many go. Each curve is
    replaced by its lower convex hull, on which taking the best step again and again is the optimum of the relaxed
    knapsack; removals that lower the loss go before all others.

    Raises:
        SecateurError: the target cannot be reached with these groups.
    """
    by_name, full = {g.name: g for g in groups}, cost(config)
    ordered: list[Removal] = []
    for group in by_name.values():
        steps = _steps(group, scores, protect)
        if not steps:
            continue
        saved = (full - cost(config.shrunk(kept_after(by_name, steps)))) / len(steps)
        slopes = np.diff(hull(curves[group.name][: len(steps) + 1]))
        # Without a saving the loss alone counts: such a group goes last, or first where the loss falls.
        prices = slopes / max(saved, 1e-12)
        ordered += [Removal(float(p), s.group, s.units) for p, s in zip(prices, steps, strict=True)]
    ordered.sort(
        key=lambda removal: removal.score
    )  # stable, and slopes of a hull rise: a group's removals stay in order
    return remove_until(config, by_name, ordered, target, cost)


def _steps(group: Group, scores: Mapping[str, Array], protect: float) -> list[Removal]:
    return removals(group, scores[group.name])[: int(protect * group.units / group.blocks)]


def hull(curve: Curve) -> NDArray[np.float64]:
    """The lower convex hull of a curve, at the curve's points (removals + 1,).

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
    convex: NDArray[np.float64] = np.interp(np.arange(len(curve)), corners, [curve[i] for i in corners])
    return convex


def scored_curves(groups: Iterable[Group], scores: Mapping[str, Array]) -> dict[str, Curve]:
    """Loss increase estimated by scores that are losses and add up (Taylor): the sum over what is removed."""
    return {g.name: np.cumsum([0.0, *(step.score for step in removals(g, scores[g.name]))]) for g in groups}


def measured_curves(
    groups: Iterable[Group], scored: Mapping[str, Curve], sensitivities: SensitivityMap, measure: str = "loss"
) -> dict[str, Curve]:
    """Loss increase as a map measured it, in nats a token or in error rate, interpolated linearly between its amounts.

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
                f"{group.units}; measure the map on the model that is pruned"
            )
    increases = _loss_increases(sensitivities, measure)
    points: dict[str, list[tuple[float, float]]] = {}
    for site in sensitivities.sites:
        removed = site.removed()
        if site.change or len(removed) != 1 or site.name not in increases:
            continue
        ((name, units),) = removed.items()
        points.setdefault(name, []).append((len(units), increases[site.name]))
    measured: dict[str, list[tuple[float, float]]] = {}
    ratios = []
    for group in groups:
        if group.name in points:
            measured[group.name] = _measured_points(points[group.name], group)
            last, value = measured[group.name][-1]
            expected = scored[group.name][min(round(last), len(scored[group.name]) - 1)]
            if value > 0 and expected > 0:
                ratios.append(value / expected)
    scale = float(np.median(ratios)) if ratios else 1.0
    curves: dict[str, Curve] = {}
    for group in groups:
        by_score = scale * np.asarray(scored[group.name])
        if group.name not in measured:
            curves[group.name] = by_score
            continue
        positions, values = (np.array(part) for part in zip(*measured[group.name], strict=True))
        curve = np.interp(np.arange(len(by_score)), positions, values)
        beyond = np.arange(len(by_score)) > positions[-1]
        if beyond.any():
            last = min(int(positions[-1]), len(by_score) - 1)
            steepest = max(float(np.diff(values).max() / np.diff(positions).max()), 0.0)
            further = np.arange(len(by_score))[beyond] - last
            curve[beyond] = values[-1] + np.maximum(by_score[beyond] - by_score[last], steepest * further)
        curves[group.name] = curve
    return curves


def _loss_increases(sensitivities: SensitivityMap, measure: str) -> dict[str, float]:
    """Nats a token, or errors a word, by site and amount.

    The loss is the default: over a few hundred words the error of the removals that seem to help most is noise, and for
    those that destroy a model it saturates. Sites that were not decoded count by their loss, converted at the median
    ratio of those that were.
    """
    losses = {site.name: site.loss.delta for site in sensitivities.sites if site.loss is not None}
    if measure == "loss":
        return losses
    errors = {site.name: site.error.delta for site in sensitivities.sites if site.error is not None}
    ratios = [errors[n] / losses[n] for n in errors if losses.get(n, 0.0) > 0 and errors[n] > 0]
    scale = float(np.median(ratios)) if ratios else 1.0
    return {name: scale * loss for name, loss in losses.items()} | errors


def _measured_points(points: Sequence[tuple[float, float]], group: Group) -> list[tuple[float, float]]:
    """Removals and loss increase, from (0, 0) on; those of single units add up, the smallest first."""
    several = sorted((units / group.blocks, value) for units, value in points if units > 1)
    singles = sorted(value for units, value in points if units == 1)
    if several or not singles:
        return [(0.0, 0.0), *dict(several).items()]
    sums = np.cumsum(singles)
    return [(0.0, 0.0), *((float(i + 1), float(v)) for i, v in enumerate(sums))]


def shares(groups: Iterable[Group], keep: Keep) -> dict[str, float]:
    """A plan as shares to remove, by group: what `PruneSettings.amounts` takes, so that units may still be
    re-ranked."""
    return {g.name: 1 - len(keep[g.name]) / g.units for g in groups if len(keep.get(g.name, ())) not in (0, g.units)}
