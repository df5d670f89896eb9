"""A model's groups: which units there are, in the terms of the core, and what a model without some of them costs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..models.groups import Group, Place
from .channels import Channels, Ids, Use
from .copies import functional
from .follow import Opaque, followed
from .specs import call_of, symbolic

if TYPE_CHECKING:
    from keras import Model, Variable


@dataclass(frozen=True)
class Structure:
    """What `structure_of` found. `units` are the numbers of each group's units, as `roots` has them by channel."""

    channels: Channels
    roots: Ids
    groups: tuple[Group, ...]
    units: Mapping[str, Ids]
    layers: Mapping[str, tuple[str, ...]]  # whose units are in a group
    whole: Mapping[str, str]  # by layer: why its units stay
    removed: Mapping[str, list[int]] = field(default_factory=dict)  # by group
    call: Any = None  # the description of a subclassed model's inputs

    @cached_property
    def alive(self) -> NDArray[np.bool_]:
        """Which channels stay."""
        result = np.ones(len(self.roots), bool)
        for name, units in self.removed.items():
            result[self.units[name][units]] = False
        return result[self.roots]

    def shrunk(self, keep: Mapping[str, list[int]]) -> Structure:
        """The same without what `keep` (group to units that stay) leaves out."""
        removed = {name: np.setdiff1d(np.arange(len(self.units[name])), kept).tolist() for name, kept in keep.items()}
        return replace(self, removed={**self.removed, **removed})

    def parameters(self) -> float:
        """Values of all variables that are left."""
        return float(sum(self.values_of(use) for use in self.channels.uses.values()))

    def values_of(self, use: Use) -> int:
        """Values of one variable that are left."""
        return int(np.prod(self.sizes(use), dtype=np.int64))

    def sizes(self, use: Use) -> list[int]:
        """The shape of what is left of one variable."""
        return [
            int(self.alive[use.dims[dim]].sum()) if dim in use.dims else size
            for dim, size in enumerate(use.variable.shape)
        ]

    def shape_of(self, variable: Variable) -> list[int]:
        """The shape of what is left of a variable of the model."""
        return self.sizes(self.channels.uses[self.channels.names[id(variable)]])

    def smaller(self, variable: Variable) -> bool:
        """Whether a variable of the model loses some of its values."""
        return self.shape_of(variable) != list(variable.shape)


def structure_of(
    model: Model, opaque: Opaque = lambda name: False, lenient: bool = False, inputs: object = None,
    learning: bool = False, narrow: bool = False,
) -> Structure:  # fmt: skip
    """Follow a model and put its units into groups: those that belong to the same layers compete with each other.

    `inputs` is a batch for a subclassed model, which has no record of what it is called on. With `narrow`, features of
    the model's inputs are units too.

    Raises:
        SecateurError: see `followed`.
    """
    call = None if functional(model) else call_of(model, inputs)
    net = followed(model, opaque, lenient, None if call is None else symbolic(call), learning, narrow)
    roots = net.roots()
    pinned: dict[int, str] = {}
    for ids, why in net.pins:
        for root in roots[ids].tolist():
            pinned.setdefault(root, why)
    members: dict[int, list[int]] = {}  # the declarations that a unit belongs to
    declared = list(net.declared.values())
    whole: dict[str, str] = {}
    for number, one in enumerate(declared):
        for root in dict.fromkeys(roots[one.ids].tolist()):
            if root in pinned:
                whole.setdefault(one.name, pinned[root])
            else:
                members.setdefault(root, []).append(number)
    together: dict[tuple[int, ...], list[int]] = {}
    for root, numbers in members.items():
        together.setdefault(tuple(numbers), []).append(root)
    sets = [(key, units, 1) for key, units in together.items()]
    for first, second in net.pairs:
        sets, unequal = _paired(sets, set(roots[first].tolist()), set(roots[second].tolist()))
        for key in unequal:
            why = "both directions must stay equally wide, and their units are read in different ways"
            whole |= {declared[n].name: why for n in key}
    return replace(_grouped(net, roots, sets, whole), call=call)


Sets = list[tuple[tuple[int, ...], list[int], int]]  # declarations, units, blocks


def _paired(sets: Sets, first: set[int], second: set[int]) -> tuple[Sets, list[tuple[int, ...]]]:
    """`sets` with those of two directions as two blocks of one; those that do not match are left out and named."""
    one = [s for s in sets if first & set(s[1])]
    two = [s for s in sets if second & set(s[1])]
    if one == two:  # already together, or none
        return sets, []
    rest = [s for s in sets if s not in one and s not in two]
    if len(one) == len(two) == 1 and one[0][2] == two[0][2] == 1 and len(one[0][1]) == len(two[0][1]):
        return [*rest, ((*one[0][0], *two[0][0]), one[0][1] + two[0][1], 2)], []
    return rest, [s[0] for s in [*one, *two]]


def _grouped(net: Channels, roots: Ids, sets: Sets, whole: dict[str, str]) -> Structure:
    """Groups of the core, with the places of every unit."""
    declared = list(net.declared.values())
    groups, units, layers = [], {}, {}
    taken: dict[str, int] = {}
    unsloped = {root for ids in net.without_slope for root in roots[ids].tolist()}
    for key, members, blocks in sets:
        name = declared[key[0]].name
        taken[name] = taken.get(name, 0) + 1
        if taken[name] > 1:
            name = f"{name}#{taken[name]}"
        units[name] = np.array(members, np.intp)
        layers[name] = tuple(dict.fromkeys(declared[n].layer for n in key))
        number = np.full(len(roots), -1, np.intp)
        number[units[name]] = np.arange(len(members))
        only_read = not unsloped.isdisjoint(members)
        places: list[Place] = []
        for parameter, use in net.uses.items():
            for dim, ids in use.dims.items():
                reads = dim in use.reads
                masked = use.masked and (reads or not only_read)
                places += _places(parameter, dim, number[roots[ids]], len(members), masked, reads)
        groups.append(Group(name, declared[key[0]].kind, len(members), tuple(places), blocks))
    return Structure(net, roots, tuple(groups), units, layers, whole)


def _places(parameter: str, dim: int, numbers: Ids, units: int, masked: bool, reads: bool) -> Iterable[Place]:
    """Where units are along a dimension: `numbers` are the units of its indices, -1 where there is none of them."""
    result = np.flatnonzero(numbers >= 0)
    if not len(result):
        return
    # Runs of all units in order, each equally wide, are one place; what is left is a place for every run of one unit.
    steps = (np.diff(result) != 1) | (np.diff(numbers[result]) < 0)
    for run in np.split(result, np.flatnonzero(steps) + 1):
        own = numbers[run]
        width = len(run) // units
        if width and np.array_equal(own, np.repeat(np.arange(units), width)):
            yield Place(parameter, dim, width, masked=masked, reads=reads, start=int(run[0]))
            continue
        for part in np.split(run, np.flatnonzero(np.diff(own)) + 1):
            unit = int(numbers[part[0]])
            yield Place(parameter, dim, len(part), unit, masked=masked, reads=reads, start=int(part[0]))
