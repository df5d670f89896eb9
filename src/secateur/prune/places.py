"""From units to their parameters: sums over a unit's places, and masks that zero them; with array operations of
criteria and budgets, for torch tensors and numpy arrays alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..models.groups import Group, Place

if TYPE_CHECKING:
    from torch import Tensor

Array = Any  # a torch tensor or a numpy array


def unit_sums(group: Group, values: Mapping[str, Array], places: Iterable[Place] | None = None) -> Array:
    """Sum `values` (one array a parameter) over every unit's places: an array (units,) in float32.

    Parameters that `values` lacks (frozen ones have no gradient) count as zero.
    """
    total: Array | None = None
    for place in group.places if places is None else places:
        value = values.get(place.parameter)
        if value is None:
            continue
        if total is None:
            total = filled(group.units, 0.0, value)
        if place.start is not None:
            lines = place.width * (group.units if place.unit is None else 1)
            value = value[(slice(None),) * place.dim + (slice(place.start, place.start + lines),)]
        if place.unit is not None:
            total[place.unit] += floats(value).sum()
        else:
            axes = tuple(d for d in range(value.ndim) if d != place.dim)
            line = floats(value).sum(axis=axes) if axes else floats(value)
            total += line.reshape(group.units, place.width).sum(1)
    return filled(group.units, 0.0, None) if total is None else total


def lines_of(place: Place, values: Array, length: int) -> Array:
    """`values` of units (units,) as lines (length,) of the place's dimension, 1 where it belongs to none of them."""
    chosen = values if place.unit is None else values[place.unit : place.unit + 1]
    lines = repeated(chosen, place.width)
    if place.start is None:
        return lines
    full = values.new_ones(length) if hasattr(values, "new_ones") else np.ones(length, values.dtype)
    full[place.start : place.start + len(lines)] = lines
    return full


def along(values: Array, place: Place, shape: Sequence[int]) -> Array:
    """`values` of units (units,) as a tensor that broadcasts over a parameter of `shape`."""
    if place.unit is not None and place.start is None:
        return values[place.unit].reshape([1] * len(shape))
    broadcast = [1] * len(shape)
    broadcast[place.dim] = shape[place.dim]
    return lines_of(place, values, shape[place.dim]).reshape(broadcast)


def parameter_masks(
    groups: Iterable[Group], kept: Mapping[str, Array], shapes: Mapping[str, Sequence[int]]
) -> dict[str, Array]:
    """Float masks, each broadcastable to its parameter, that zero what is not `kept` (bool (units,) a group)."""
    masks: dict[str, Array] = {}
    for group in groups:
        if group.name not in kept or bool(kept[group.name].all()):
            continue
        keep = floats(kept[group.name])
        for place in group.places:
            if not place.masked:
                continue
            mask = along(keep, place, shapes[place.parameter])
            old = masks.get(place.parameter)
            masks[place.parameter] = mask if old is None else old * mask
    return masks


def kept_units(groups: Iterable[Group], keep: Mapping[str, list[int]]) -> dict[str, Tensor]:
    """`keep` (unit numbers that stay) as bool masks (units,)."""
    import torch

    by_name = {g.name: g for g in groups}
    masks = {}
    for name, units in keep.items():
        mask = torch.zeros(by_name[name].units, dtype=torch.bool)
        mask[units] = True
        masks[name] = mask
    return masks


def floats(values: Array) -> Array:
    """`values` in float32; a tensor keeps its device and its graph."""
    return values.float() if hasattr(values, "float") else np.asarray(values, np.float32)


def constant(values: Array) -> Array:
    """`values` in float32, detached."""
    return floats(values.detach() if hasattr(values, "detach") else values)


def numbers(values: Array) -> NDArray[np.float32]:
    """A copy of `values` as numpy floats."""
    plain = constant(values)
    return np.array(plain.cpu().numpy() if hasattr(plain, "cpu") else plain, np.float32)


def filled(count: int, value: float, like: Array | None) -> Array:
    """An array (count,) of one float, of the kind and on the device of `like`; a tensor when there is none."""
    if isinstance(like, np.ndarray):
        return np.full(count, value, np.float32)
    import torch

    return torch.full((count,), value, device=None if like is None else like.device)


def repeated(values: Array, times: int) -> Array:
    """Every value so many times in a row."""
    return values.repeat(times) if isinstance(values, np.ndarray) else values.repeat_interleave(times)


def of_kind(values: NDArray[Any], like: Array | None) -> Array:
    """Numpy `values` as they are when `like` is a numpy array, else as a tensor on the CPU."""
    if isinstance(like, np.ndarray):
        return values
    import torch

    return torch.from_numpy(values)
