"""What is zero goes: units that L1, group lasso or masks emptied are removed, and the model computes the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base.extras import require
from ..models.groups import Group, Place
from ..prune.budget import Keep
from ..prune.places import unit_sums
from .masks import apply, masks_of
from .structure import Structure

Bools = NDArray[np.bool_]


def zeros(model: Any, structure: Structure, groups: Sequence[Group], threshold: float) -> Keep:
    """The plan without every unit whose own weights are all at most `threshold`, or all weights that read it.

    An empty unit may still give a constant, as with a sigmoid: the model is run on random inputs with each group's
    units removed, and a group whose removal changes more than what is zeroed keeps its units.
    """
    ops = require("keras", "keras").ops
    variables = {name: use.variable for name, use in structure.channels.uses.items()}
    names = {p.parameter for group in groups for p in group.places if p.masked}
    weights = {name: np.asarray(ops.convert_to_numpy(variables[name])) for name in names}
    large = {name: (np.abs(values) > threshold).astype(np.float32) for name, values in weights.items()}
    result: Keep = {}
    for group in groups:
        own = _empty(group, large, [p for p in group.places if p.masked and not p.reads])
        unread = _empty(group, large, [p for p in group.places if p.masked and p.reads])
        for removed in (own | unread, own, unread):
            keep = _kept(group, removed)
            if len(keep) == group.units:
                continue
            if _harmless(model, structure, {group.name: keep}, variables, weights, threshold):
                result[group.name] = keep
                break
    return result


def _empty(group: Group, large: dict[str, NDArray[np.float32]], places: Sequence[Place]) -> Bools:
    if not places:
        return np.zeros(group.units, bool)
    return np.asarray(unit_sums(group, large, places) == 0)


def _kept(group: Group, removed: Bools) -> list[int]:
    """Units that stay: as many in every block, and never fewer than the minimum."""
    size = group.units // group.blocks
    blocks = removed.reshape(group.blocks, size)
    count = min(int(blocks.sum(1).min()), size - group.minimum)
    removed = np.concatenate([block & (np.cumsum(block) <= count) for block in blocks])
    return [int(unit) for unit in np.flatnonzero(~removed)]


def _harmless(
    model: Any, structure: Structure, keep: Keep, variables: dict[str, Any], weights: dict[str, Any], threshold: float
) -> bool:
    """Whether the masked model computes what the model does with its small weights at zero."""
    from .tracing import outputs_of

    convert = require("keras", "keras").ops.convert_to_tensor
    masks = masks_of(structure, keep)
    before = {name: np.where(np.abs(weights[name]) > threshold, weights[name], 0) for name in masks}
    try:
        for name, values in before.items():
            variables[name].assign(values)
        first = outputs_of(model, structure.call)
        apply(variables, {name: convert(mask, variables[name].dtype) for name, mask in masks.items()})
        second = outputs_of(model, structure.call)
    finally:
        for name in masks:
            variables[name].assign(weights[name])
    return all(np.allclose(a, b, 1e-5, 1e-5, equal_nan=True) for a, b in zip(first, second, strict=True))
