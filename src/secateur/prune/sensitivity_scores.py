"""From a sensitivity map to a score for every unit: the lower, the better the model is without it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..base.errors import SecateurError
from .sensitivity_map import Measured, SensitivityMap

ERROR_NATS = 5.0  # nats a token per unit of error rate: 2 points of error count as 0.1 nats


def unit_scores(sensitivities: SensitivityMap, group: str, units: int) -> NDArray[np.float32]:
    """Signed scores (units,): the measured change of a unit alone, else its share of the change of the units ablated
    with it.

    Shares of a group (its first tenth, its first quarter, ...) are nested: the units that a larger one adds share what
    it adds. A change is that of the loss; where a removal was decoded, the mean of it and of the error's change in
    nats. Units that were never ablated score above all of the group that were.

    Raises:
        SecateurError: the map is of a model without this group, or with other units in it.
    """
    if sensitivities.groups.get(group) != units:
        expected = sensitivities.groups.get(group)
        raise SecateurError(
            f"the sensitivity map is of another model: its '{group}' has {expected or 'no'} units, this one {units}"
        )
    of_group = [s for s in sensitivities.sites if set(s.ablated) == {group} and s.loss is not None and not s.change]
    scores = np.full(units, np.nan, np.float32)
    shares = sorted((s for s in of_group if s.amount < 1 or len(s.removed()[group]) > 1), key=lambda s: s.amount)
    before, earlier = 0.0, set[int]()
    for site in shares:
        added = sorted(set(site.removed()[group]) - earlier)
        if added:
            scores[added] = (_nats(site) - before) / len(added)
            before, earlier = _nats(site), earlier | set(added)
    for site in of_group:
        removed = site.removed()[group]
        if len(removed) == 1:
            scores[removed[0]] = _nats(site)
    measured = scores[~np.isnan(scores)]
    highest = max(float(measured.max()), 0.0) if len(measured) else 0.0
    # Slightly higher, so that measured units go first even where no ablation raised the loss.
    scores[np.isnan(scores)] = 2 * highest + 1e-3
    return scores


def _nats(site: Measured) -> float:
    assert site.loss is not None
    if site.error is None:
        return site.loss.delta
    return (site.loss.delta + ERROR_NATS * site.error.delta) / 2
