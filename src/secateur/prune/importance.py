"""How much a unit matters: one function a criterion, from evidence to scores (units,), higher matters more.

A new criterion is a function `(group, evidence) -> Tensor` under its name in `CRITERIA`, and a test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..models.groups import Group
from .places import unit_sums


@dataclass
class Evidence:
    """What criteria read. `taylor` and the activation norms are collected by `secateur.prune.evidence`."""

    weights: Mapping[str, Tensor]
    taylor: dict[str, Tensor] = field(default_factory=dict)  # group -> mean over batches of (sum of g*w)^2, (units,)
    inputs: dict[str, Tensor] = field(default_factory=dict)  # parameter -> L2 norm of each input feature, (in,)
    outputs: dict[str, Tensor] = field(default_factory=dict)  # parameter -> L2 norm of each output feature, (out,)
    seed: int = 0
    signed: dict[str, Tensor] = field(default_factory=dict)  # group -> mean over batches of sum of g*w, (units,)


def magnitude(group: Group, evidence: Evidence) -> Tensor:
    """L2 norm of all the weights of a unit (Li et al. 2017, arXiv 1608.08710)."""
    places = [p for p in group.places if p.parameter in evidence.weights]  # a layer's buffers are no weights
    squares = {p.parameter: evidence.weights[p.parameter].detach().float().square() for p in places}
    return unit_sums(group, squares).sqrt()


def taylor(group: Group, evidence: Evidence) -> Tensor:
    """First-order loss change: root mean square of sum(g*w) (Molchanov et al. 2019, arXiv 1906.10771)."""
    return evidence.taylor[group.name].sqrt()


def signed(group: Group, evidence: Evidence) -> Tensor:
    """First-order loss change of removing a unit, with its sign: minus the mean of sum(g*w).

    Units whose removal is expected to lower the loss have the lowest scores and go first (Molchanov et al. 2017,
    arXiv 1611.06440, equation 7, before the absolute value).
    """
    return -evidence.signed[group.name]


def wanda(group: Group, evidence: Evidence) -> Tensor:
    """|weight| times the norm of the activation it reads, summed over a unit (Sun et al. 2024, arXiv 2306.11695).

    Query/key dimensions have no reader with weights: their score is the product of the two activations' norms,
    which bounds what the dimension adds to the attention scores.
    """
    readers = [p for p in group.places if p.reads and p.parameter in evidence.inputs]
    if readers:
        values = {}
        for place in readers:
            weight = evidence.weights[place.parameter].detach().float().abs()
            norm = evidence.inputs[place.parameter].view([-1 if d == 1 else 1 for d in range(weight.dim())])
            values[place.parameter] = weight * norm
        return unit_sums(group, values, readers)
    written = [p for p in group.places if p.dim == 0 and p.unit is None and p.parameter in evidence.outputs]
    if written:
        score = torch.ones(group.units, device=evidence.outputs[written[0].parameter].device)
        for place in written:
            score = score * evidence.outputs[place.parameter].view(group.units, place.width).square().sum(1).sqrt()
        return score
    return magnitude(group, evidence)  # whole layers: no single reader


def chance(group: Group, evidence: Evidence) -> Tensor:
    """Random scores: the control that every criterion has to beat."""
    seed = evidence.seed * 1_000_003 + sum(map(ord, group.name))
    return torch.rand(group.units, generator=torch.Generator().manual_seed(seed))


CRITERIA: dict[str, Callable[[Group, Evidence], Tensor]] = {
    "magnitude": magnitude,
    "taylor": taylor,
    "signed": signed,  # helpful first
    "wanda": wanda,
    "random": chance,
}
