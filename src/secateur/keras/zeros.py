"""What is zero goes: units that L1, group lasso or masks emptied are removed, and the model computes the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..base.extras import require
from ..models.groups import Group, Place
from ..prune.budget import Keep
from ..prune.places import unit_sums
from .masks import Masks, apply, masks_of
from .structure import Structure

if TYPE_CHECKING:
    from keras import Model

Bools = NDArray[np.bool_]


def zeros(model: Model, structure: Structure, groups: Sequence[Group], threshold: float) -> Keep:
    """The plan without the units that give zero whatever comes in, and without those that nothing reads.

    Those to look at have weights that are all at most `threshold`: all that make the unit, its kernels or the factors
    of its normalisation alone (offsets and statistics may be left), or all that read it. What they give may be a
    constant, as behind a sigmoid or a positive offset: the model is run on random inputs without them, and those whose
    removal changes more than what is zeroed stay.
    """
    ops = require("keras", "keras").ops
    uses = structure.channels.uses
    names = {p.parameter for group in groups for p in group.places if p.masked}
    weights = {name: np.asarray(ops.convert_to_numpy(uses[name].variable)) for name in names}
    large = {name: (~(np.abs(values) <= threshold)).astype(np.float32) for name, values in weights.items()}
    result: Keep = {}
    for group in groups:
        makes = [p for p in group.places if p.masked and not p.reads]
        parts = [
            makes,
            [p for p in makes if weights[p.parameter].ndim > 1],
            [p for p in makes if uses[p.parameter].factor],
            [p for p in group.places if p.masked and p.reads],
        ]
        empty = np.logical_or.reduce([_empty(group, large, places) for places in parts])
        keep = _kept(group, _harmless(model, structure, group, empty, weights, threshold))
        if len(keep) < group.units:
            result[group.name] = keep
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
    model: Model, structure: Structure, group: Group, empty: Bools, weights: dict[str, Any], threshold: float
) -> Bools:
    """Those of the `empty` units without which the model computes what it does with its small weights at zero."""
    from .random_runs import outputs_of

    convert = require("keras", "keras").ops.convert_to_tensor
    result = np.zeros(group.units, bool)
    if not empty.any():
        return result

    def without(units: NDArray[np.intp]) -> Masks:
        return masks_of(structure, {group.name: np.setdiff1d(np.arange(group.units), units).tolist()})

    variables = {name: structure.channels.uses[name].variable for name in without(np.flatnonzero(empty))}
    before = {name: np.where(np.abs(weights[name]) > threshold, weights[name], 0) for name in variables}

    def same(units: NDArray[np.intp]) -> bool:
        _assign(variables, before)
        apply(variables, {name: convert(mask, variables[name].dtype) for name, mask in without(units).items()})
        pairs = zip(first, *outputs_of(structure.call, model), strict=True)
        return all(np.allclose(a, b, 1e-5, 1e-5, equal_nan=True) for a, b in pairs)

    try:
        _assign(variables, before)
        (first,) = outputs_of(structure.call, model)
        waiting = [np.flatnonzero(empty)]
        while waiting:
            units = waiting.pop()
            if same(units):
                result[units] = True
            elif len(units) > 1:
                waiting += np.array_split(units, 2)
    finally:
        _assign(variables, weights)
    return result


def _assign(variables: dict[str, Any], values: dict[str, Any]) -> None:
    for name, variable in variables.items():
        variable.assign(values[name])
