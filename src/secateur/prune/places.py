"""From units to the tensors they live in: sums over a unit's places, and masks that zero them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from ..models.groups import Group, Place


def unit_sums(group: Group, values: Mapping[str, Tensor], places: Iterable[Place] | None = None) -> Tensor:
    """Sum `values` (one tensor a parameter) over every unit's places: a tensor (units,) in float32.

    Parameters that `values` lacks (frozen ones have no gradient) count as zero.
    """
    total: Tensor | None = None
    for place in group.places if places is None else places:
        value = values.get(place.parameter)
        if value is None:
            continue
        if total is None:
            total = torch.zeros(group.units, device=value.device)
        if place.start is not None:
            lines = place.width * (group.units if place.unit is None else 1)
            value = value.narrow(place.dim, place.start, lines)
        if place.unit is not None:
            total[place.unit] += value.float().sum()
        else:
            other = [d for d in range(value.dim()) if d != place.dim]
            line = value.float().sum(dim=other) if other else value.float()
            total += line.view(group.units, place.width).sum(1)
    return torch.zeros(group.units) if total is None else total


def lines_of(place: Place, values: Tensor, length: int) -> Tensor:
    """`values` of units (units,) as lines (length,) of the place's dimension, 1 where it belongs to none of them."""
    lines = values.repeat_interleave(place.width) if place.unit is None else values[place.unit].expand(place.width)
    if place.start is None:
        return lines
    whole = values.new_ones(length)
    whole[place.start : place.start + len(lines)] = lines
    return whole


def along(values: Tensor, place: Place, shape: Sequence[int]) -> Tensor:
    """`values` of units (units,) as a tensor that broadcasts over a parameter of `shape`."""
    if place.unit is not None and place.start is None:
        return values[place.unit].view([1] * len(shape))
    form = [1] * len(shape)
    form[place.dim] = shape[place.dim]
    return lines_of(place, values, shape[place.dim]).view(form)


def parameter_masks(
    groups: Iterable[Group], kept: Mapping[str, Tensor], shapes: Mapping[str, torch.Size]
) -> dict[str, Tensor]:
    """Float masks, each broadcastable to its parameter, that zero what is not `kept` (bool (units,) a group)."""
    masks: dict[str, Tensor] = {}
    for group in groups:
        if group.name not in kept or bool(kept[group.name].all()):
            continue
        keep = kept[group.name].float()
        for place in group.places:
            if not place.masked:
                continue
            mask = along(keep, place, shapes[place.parameter])
            old = masks.get(place.parameter)
            masks[place.parameter] = mask if old is None else old * mask
    return masks


def kept_units(groups: Iterable[Group], keep: Mapping[str, list[int]]) -> dict[str, Tensor]:
    """`keep` (unit numbers that stay) as bool masks (units,)."""
    by_name = {g.name: g for g in groups}
    masks = {}
    for name, units in keep.items():
        mask = torch.zeros(by_name[name].units, dtype=torch.bool)
        mask[units] = True
        masks[name] = mask
    return masks
