"""How much a unit matters: one function a criterion, from evidence to scores (units,), higher matters more.

A new criterion is a function `(group, evidence) -> scores` under its name in `CRITERIA`, and a test. Evidence is all
torch tensors or all numpy arrays, and so are the scores.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from ..base.errors import SecateurError
from ..models.groups import Group
from .arrays import Array, constant, filled, of_kind
from .places import unit_sums
from .sensitivity_map import SensitivityMap
from .sensitivity_scores import unit_scores


@dataclass
class Evidence:
    """What criteria read. `taylor` and the activation norms are collected by `secateur.prune.evidence`."""

    weights: Mapping[str, Array]
    taylor: dict[str, Array] = field(default_factory=dict)  # group -> mean over batches of (sum of g*w)^2, (units,)
    inputs: dict[str, Array] = field(default_factory=dict)  # parameter -> L2 norm of each input feature, (in,)
    outputs: dict[str, Array] = field(default_factory=dict)  # parameter -> L2 norm of each output feature, (out,)
    seed: int = 0
    signed: dict[str, Array] = field(default_factory=dict)  # group -> mean over batches of sum of g*w, (units,)
    map: SensitivityMap | None = None  # what was measured before


def magnitude(group: Group, evidence: Evidence) -> Array:
    """L2 norm of all the weights of a unit (Li et al. 2017, arXiv 1608.08710)."""
    places = [p for p in group.places if p.parameter in evidence.weights]  # a layer's buffers are no weights
    squares = {p.parameter: constant(evidence.weights[p.parameter]) ** 2 for p in places}
    return unit_sums(group, squares) ** 0.5


def taylor(group: Group, evidence: Evidence) -> Array:
    """First-order loss change: root mean square of sum(g*w) (Molchanov et al. 2019, arXiv 1906.10771)."""
    return evidence.taylor[group.name] ** 0.5


def signed(group: Group, evidence: Evidence) -> Array:
    """First-order loss change of removing a unit, with its sign: minus the mean of sum(g*w).

    Units whose removal is expected to lower the loss have the lowest scores and go first (Molchanov et al. 2017,
    arXiv 1611.06440, equation 7, before the absolute value).
    """
    return -evidence.signed[group.name]


def wanda(group: Group, evidence: Evidence) -> Array:
    """|weight| times the norm of the activation it reads, summed over a unit (Sun et al. 2024, arXiv 2306.11695).

    Query/key dimensions have no reader with weights: their score is the product of the two activations' norms,
    which bounds what the dimension adds to the attention scores.
    """
    readers = [p for p in group.places if p.reads and p.parameter in evidence.inputs]
    if readers:
        values = {}
        for place in readers:
            weight = abs(constant(evidence.weights[place.parameter]))
            norm = evidence.inputs[place.parameter].reshape([-1 if d == place.dim else 1 for d in range(weight.ndim)])
            values[place.parameter] = weight * norm
        return unit_sums(group, values, readers)
    written = [p for p in group.places if p.dim == 0 and p.unit is None and p.parameter in evidence.outputs]
    if written:
        score = filled(group.units, 1.0, evidence.outputs[written[0].parameter])
        for place in written:
            score = score * (evidence.outputs[place.parameter].reshape(group.units, place.width) ** 2).sum(1) ** 0.5
        return score
    return magnitude(group, evidence)  # whole layers: no single reader


def chance(group: Group, evidence: Evidence) -> Array:
    """Random scores: the control that every criterion has to beat."""
    random = np.random.default_rng([evidence.seed, zlib.crc32(group.name.encode())])
    return of_kind(random.random(group.units, np.float32), next(iter(evidence.weights.values()), None))


def sensitivity(group: Group, evidence: Evidence) -> Array:
    """The measured change of the loss when a unit goes, with its sign: what helps goes first.

    Raises:
        SecateurError: no map was given, or it is of another model.
    """
    if evidence.map is None:
        raise SecateurError("the criterion 'sensitivity' needs a map: set prune.map to a map.json")
    like = next(iter(evidence.weights.values()), None)
    return of_kind(unit_scores(evidence.map, group.name, group.units), like)


CRITERIA: dict[str, Callable[[Group, Evidence], Array]] = {
    "magnitude": magnitude,
    "taylor": taylor,
    "signed": signed,  # helpful first
    "sensitivity": sensitivity,  # the same, as it was measured
    "wanda": wanda,
    "random": chance,
}

# They estimate or measure the loss and add up over layers; others only compare units of one group.
LOSSES = frozenset({"taylor", "signed", "sensitivity"})
