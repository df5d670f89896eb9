"""What can be removed from a Keras model one at a time: units of a group, a whole layer or branch, an input feature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..base.errors import SecateurError
from ..prune.budget import removals
from ..prune.places import Array
from .structure import Structure

if TYPE_CHECKING:
    from keras import Model

PASSING = ("BatchNormalization", "Activation", "ReLU", "LayerNormalization", "Dropout", "TimeDistributed")


@dataclass(frozen=True)
class Site:
    """One site at one amount; see `prune.sensitivity.Measured`. `silenced` are features of the input."""

    site: str
    kind: str
    layer: str
    part: str
    amount: float
    removed: Mapping[str, Sequence[int]]
    silenced: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """Unique among a model's sites."""
        return f"{self.site}@{self.amount:g}"


def group_sites(
    model: Model, structure: Structure, scores: Mapping[str, Array], amounts: Sequence[float]
) -> list[Site]:
    """Of every group its least important `amounts` by `scores`, and the whole: a layer, or a branch where what the
    group's layer makes goes straight into a concatenation."""
    result = []
    names = {layer.name for layer in model._flatten_layers(include_self=False)}
    into = branches(model)
    for group in structure.groups:
        layer, part = row_and_column(group.name, names)
        size = group.units // group.blocks
        steps = removals(group, scores[group.name])
        for count in sorted({min(max(round(a * size), 1), size - 1) for a in amounts} - {0}):
            units = sorted(u for step in steps[:count] for u in step.units)
            share = round(len(units) / group.units, 4)
            result.append(Site(group.name, group.kind, layer, part, share, {group.name: units}))
        kind = "branch" if all(name in into for name in structure.layers[group.name]) else "layer"
        everything = {group.name: list(range(group.units))}
        result.append(Site(group.name, kind, layer, f"whole {part}", 1.0, everything))
    return result


def input_sites(features: int, blocks: Mapping[str, Sequence[int]] | None) -> list[Site]:
    """Every feature of the input alone, and `blocks` of them by name.

    Raises:
        SecateurError: a block with a feature that the input does not have.
    """
    result = [Site(f"input[{i}]", "input", "input", "one feature", 1.0, {}, (i,)) for i in range(features)]
    for name, members in (blocks or {}).items():
        odd = [i for i in members if not 0 <= i < features]
        if odd or not len(members):
            raise SecateurError(f"input block '{name}': features are 0 to {features - 1}, found {odd or 'none'}")
        kind = name if len(members) > 1 and "delta" in name else "input"
        result.append(Site(name, kind, "input", name, 1.0, {}, tuple(members)))
    return result


def branches(model: Model) -> set[str]:
    """Layers whose output goes straight into a concatenation, through normalisation and activation at most."""
    result = set()
    for layer in model.layers:
        now = layer
        while True:
            after = [node.operation for node in getattr(now, "_outbound_nodes", ())]
            if len(after) != 1:
                break
            if type(after[0]).__name__ == "Concatenate":
                result.add(layer.name)
            if type(after[0]).__name__ not in PASSING:
                break
            now = after[0]
    return result


def row_and_column(group: str, layers: set[str]) -> tuple[str, str]:
    """Row and column of a group in the heat map: a block whose name begins a layer's name is its row.

    >>> row_and_column("inception1_three", {"inception1", "inception1_three"}), row_and_column("dense1", {"dense1"})
    (('inception1', 'three'), ('dense1', 'units'))
    """
    base, _, rest = group.partition("#")
    words = base.split("_")
    for count in range(len(words) - 1, 0, -1):
        block = "_".join(words[:count])
        if block in layers:
            return block, " ".join(words[count:]) + (f" {rest}" if rest else "")
    return base, "units"


def kernel_macs(model: Model, structure: Structure) -> float:
    """Multiply-accumulates of all kernels for one example: see `MacsOf`."""
    return MacsOf(model)(structure)


class MacsOf:
    """Multiply-accumulates of a model's kernels for one example: their values times the places they are used at, which
    are counted once; attention's own products are left out."""

    def __init__(self, model: Model) -> None:
        self.places: dict[int, int] = {}
        for layer in model._flatten_layers(include_self=False, recursive=True):
            try:
                shape = layer.output.shape if len(layer.input.shape) <= len(layer.output.shape) else layer.input.shape
            except (AttributeError, ValueError):  # a wrapped layer, or one that is called several times
                shape = ()
            for variable in layer.variables:
                count = int(np.prod([n or 1 for n in shape[1:-1]], dtype=np.int64))
                self.places.setdefault(id(variable), count)

    def __call__(self, structure: Structure) -> float:
        """Of what is left in `structure`."""
        uses = [use for use in structure.channels.uses.values() if len(use.variable.shape) > 1]
        return float(sum(self.places.get(id(use.variable), 1) * structure.values_of(use) for use in uses))
