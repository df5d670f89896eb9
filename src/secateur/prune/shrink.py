"""Removal: masks while training, surgery on the parameters after; both from the same declarations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

import torch
from torch import Tensor

from ..base.errors import SecateurError, nearest
from ..models.checkpoint import assign_weights
from ..models.groups import Group
from ..models.network import Network, without_values
from .places import kept_units, lines_of, parameter_masks

Net = TypeVar("Net", bound=Network)


def check_keep(groups: Mapping[str, Group], keep: Mapping[str, list[int]]) -> None:
    """Refuse a plan that names an unknown group, or removes all of one.

    Raises:
        SecateurError: with the nearest right name.
    """
    for name, units in keep.items():
        if name not in groups:
            raise SecateurError(f"no group '{name}' in this model{nearest(name, groups)}")
        if not units:
            raise SecateurError(f"{name}: at least one unit must stay")
        if min(units) < 0 or max(units) >= groups[name].units:
            raise SecateurError(f"{name}: units go from 0 to {groups[name].units - 1}")


@torch.no_grad()
def mask(model: Net, keep: Mapping[str, list[int]]) -> dict[str, Tensor]:
    """Zero in place what `keep` leaves out and return the masks; contexts cannot be masked and are refused.

    The masked network computes what `shrink(model, keep)` computes.
    """
    groups = {g.name: g for g in model.groups()}
    check_keep(groups, keep)
    for name in keep:
        if not groups[name].maskable:
            raise SecateurError(f"{name}: a context has no mask, only shrink removes it")
    kept = kept_units(groups.values(), keep)
    parameters = dict(model.named_parameters()) | dict(model.named_buffers())
    masks = parameter_masks(groups.values(), kept, {n: p.shape for n, p in parameters.items()})
    masks = {name: m.to(parameters[name].device) for name, m in masks.items()}
    for name, m in masks.items():
        parameters[name].mul_(m)
    if "vocabulary" in kept:
        model.mask_vocabulary(kept["vocabulary"])
    mask_inputs(model, groups.values(), kept)
    return masks


def mask_inputs(model: Net, groups: Iterable[Group], kept: Mapping[str, Tensor]) -> None:
    """Set the network's input mask, if `kept` (bool (units,) a group) masks any input."""
    for group in groups:
        if group.kind in ("mel", "input") and group.name in kept:
            model.mask_inputs(kept[group.name].to(next(model.parameters()).device))


@torch.no_grad()
def shrink(model: Net, keep: Mapping[str, list[int]]) -> Net:
    """A new, smaller network with only the kept units; token ids are renumbered when vocabulary rows go.

    `keep` maps group names to sorted unit numbers; groups that it does not name stay whole.
    """
    groups = {g.name: g for g in model.groups()}
    keep = {name: sorted(units) for name, units in keep.items()}
    check_keep(groups, keep)
    config = model.config.shrunk(dict(keep))
    state = dict(model.state_dict())
    for name, indices in _kept_indices(groups, keep, {n: t.shape for n, t in state.items()}).items():
        for dim, index in indices.items():
            state[name] = state[name].index_select(dim, index.to(state[name].device))
    for name, group in groups.items():
        if group.kind in ("layer", "branch") and name in keep:
            state = _renumber(state, f"{name}.", keep[name])
    with without_values():
        small = type(model)(config)
    assign_weights(small, {n: t.clone() for n, t in state.items()})
    small.dropout.p = model.dropout.p
    return small.train(model.training)


def _kept_indices(
    groups: Mapping[str, Group], keep: Mapping[str, list[int]], shapes: Mapping[str, torch.Size]
) -> dict[str, dict[int, Tensor]]:
    """Rows and columns that stay, by parameter and dimension; several groups on one dimension intersect."""
    stay: dict[tuple[str, int], Tensor] = {}
    for name, kept in kept_units([groups[n] for n in keep], keep).items():
        for place in groups[name].places:
            if place.unit is not None and place.start is None:  # whole layers are dropped by name
                continue
            length = shapes[place.parameter][place.dim]
            rows = lines_of(place, kept, length)
            if rows.numel() != length:
                raise SecateurError(f"{name}: {place.parameter} has another width than its group says")
            old = stay.get((place.parameter, place.dim))
            stay[place.parameter, place.dim] = rows if old is None else old & rows
    indices: dict[str, dict[int, Tensor]] = {}
    for (parameter, dim), rows in stay.items():
        indices.setdefault(parameter, {})[dim] = rows.nonzero().flatten()
    return indices


def _renumber(state: dict[str, Tensor], prefix: str, kept: list[int]) -> dict[str, Tensor]:
    """Drop the layers that are not kept and number the others from 0."""
    new = {old: i for i, old in enumerate(kept)}
    result = {}
    for name, tensor in state.items():
        if not name.startswith(prefix):
            result[name] = tensor
            continue
        number, rest = name.removeprefix(prefix).split(".", 1)
        if int(number) in new:
            result[f"{prefix}{new[int(number)]}.{rest}"] = tensor
    return result
