"""How much a unit matters: one `Criterion` a name, from evidence to scores (units,), higher matters more.

A new criterion is a function `(group, evidence) -> scores`, what it needs, its name in `CRITERIA` (or an entry point
`secateur.criteria` of another package), and a test. What is gathered follows from `needs`, never from the name.
Evidence is all torch tensors or all numpy arrays, and so are the scores.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from ..base.errors import SecateurError, nearest
from ..base.plugins import PluginError, Registry, named, shape_of
from ..models.groups import Group
from .places import Array, constant, filled, of_kind, unit_sums
from .sensitivity_map import SensitivityMap, unit_scores

NEEDS = {
    "taylor": "squares of gradient times weight, over batches with a loss",
    "signed": "signed sums of gradient times weight, over batches with a loss",
    "activations": "norms of what layers read and write, over batches",
    "map": "a map: set prune.map to a map.json",
}


@dataclass
class Evidence:
    """What criteria read, see `NEEDS`. First-order terms and activation norms are collected by `prune.evidence`."""

    weights: Mapping[str, Array]
    taylor: dict[str, Array] = field(default_factory=dict)  # group -> mean over batches of (sum of g*w)^2, (units,)
    inputs: dict[str, Array] = field(default_factory=dict)  # parameter -> L2 norm of each input feature, (in,)
    outputs: dict[str, Array] = field(default_factory=dict)  # parameter -> L2 norm of each output feature, (out,)
    seed: int = 0
    signed: dict[str, Array] = field(default_factory=dict)  # group -> mean over batches of sum of g*w, (units,)
    map: SensitivityMap | None = None  # a measured sensitivity map

    def holds(self, need: str, group: Group) -> bool:
        """Whether the evidence `need` was gathered for `group`."""
        if need in ("taylor", "signed"):
            return group.name in getattr(self, need)
        return bool(self.inputs or self.outputs) if need == "activations" else self.map is not None


Score = Callable[[Group, Evidence], Array]


@dataclass(frozen=True)
class Criterion:
    """How units are scored: `score` reads the weights and what `needs` (names in `NEEDS`) lists.

    `is_loss` says that scores estimate or measure the loss and add up over layers; others only compare units of one
    group.

    Raises:
        SecateurError: a need that nothing gathers.
    """

    score: Score
    needs: tuple[str, ...] = ()
    is_loss: bool = False

    def __post_init__(self) -> None:
        for need in self.needs:
            if need not in NEEDS:
                raise SecateurError(
                    f"the criterion '{self.score.__name__}' needs '{need}', which is not gathered"
                    f"{nearest(need, NEEDS)} (known: {', '.join(NEEDS)})"
                )

    @property
    def reads_batches(self) -> bool:
        """Whether it needs anything from batches: all that is gathered but a map, which is read from a file."""
        return bool({*self.needs} - {"map"})

    def __call__(self, group: Group, evidence: Evidence) -> Array:
        """Scores (units,) of a group.

        Raises:
            SecateurError: something that the criterion needs was not gathered.
            PluginError: it did not give a score a unit.
        """
        for need in self.needs:
            if not evidence.holds(need, group):
                raise SecateurError(
                    f"the criterion '{self.score.__name__}' needs {NEEDS[need]}; nothing was given for {group.name}"
                )
        scores = self.score(group, evidence)
        if (shape := getattr(scores, "shape", None)) is None or tuple(shape) != (group.units,):
            raise PluginError(
                f"{named(self, 'criteria') or f'the criterion {self.score.__name__}'} gave {shape_of(scores)} for the "
                f"group {group.name}: scores have the shape ({group.units},), one a unit"
            )
        return scores


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
    which bounds what the dimension adds to the attention scores. A token row's score is the norm of all that it wrote
    into the residual stream, a whole layer's is that of the weights with which it writes there.

    Raises:
        SecateurError: no activations were gathered for the layers that read the group.
    """
    readers = [p for p in group.places if p.reads and p.parameter in evidence.inputs]
    if readers:
        values = {}
        for place in readers:
            weight = abs(constant(evidence.weights[place.parameter]))
            norm = evidence.inputs[place.parameter].reshape([-1 if d == place.dim else 1 for d in range(weight.ndim)])
            values[place.parameter] = weight * norm
        return unit_sums(group, values, readers)
    layers = [p for p in group.places if p.unit is not None and p.start is None and p.parameter in evidence.inputs]
    if layers:
        return unit_sums(group, {p.parameter: _weights_times_inputs(p.parameter, evidence) for p in layers}, layers)
    written = [p for p in group.places if p.dim == 0 and p.unit is None and p.parameter in evidence.outputs]
    if written:
        score = filled(group.units, 1.0, evidence.outputs[written[0].parameter])
        for place in written:
            score = score * (evidence.outputs[place.parameter].reshape(group.units, place.width) ** 2).sum(1) ** 0.5
        return score
    raise SecateurError(
        f"the criterion 'wanda' needs the inputs of the layers that read {group.name}, which were not gathered: choose "
        "another criterion, or leave these units out (prune.kinds; of a Keras model exclude=[...])"
    )


def _weights_times_inputs(name: str, evidence: Evidence) -> Array:
    """|weight| times the norm of the input that each value multiplies, in the shape of the weight."""
    weight, norm = abs(constant(evidence.weights[name])), evidence.inputs[name]
    outputs, inputs = weight.shape[:2]
    if len(norm) == inputs:
        return weight * norm.reshape([1, -1] + [1] * (weight.ndim - 2))
    groups = len(norm) // inputs  # a grouped convolution: outputs of one group read only the group's inputs
    rows = norm.reshape(groups, inputs)[[row * groups // outputs for row in range(outputs)]]
    return weight * rows.reshape([outputs, inputs] + [1] * (weight.ndim - 2))


def random_scores(group: Group, evidence: Evidence) -> Array:
    """Random scores: the control that every criterion has to beat."""
    random = np.random.default_rng([evidence.seed, zlib.crc32(group.name.encode())])
    return of_kind(random.random(group.units, np.float32), next(iter(evidence.weights.values()), None))


def sensitivity(group: Group, evidence: Evidence) -> Array:
    """The measured loss change without a unit, with its sign: units whose removal lowers the loss go first.

    Raises:
        SecateurError: the map is of another model.
    """
    assert evidence.map is not None
    like = next(iter(evidence.weights.values()), None)
    return of_kind(unit_scores(evidence.map, group.name, group.units), like)


CRITERIA: Registry[Criterion] = Registry("criteria", "criterion", {
    "magnitude": Criterion(magnitude),
    "taylor": Criterion(taylor, ("taylor",), is_loss=True),
    "signed": Criterion(signed, ("signed",), is_loss=True),  # helpful first
    "sensitivity": Criterion(sensitivity, ("map",), is_loss=True),  # the same, as it was measured
    "wanda": Criterion(wanda, ("activations",)),
    "random": Criterion(random_scores),
})  # fmt: skip


class TaylorSums:
    """Running means over batches of (sum of gradient * weight over a unit), squared and with its sign.

    `decay` < 1 down-weights old batches, for evidence gathered while the network changes.
    """

    def __init__(self, groups: Iterable[Group], decay: float = 1.0) -> None:
        self.groups, self.decay = list(groups), decay
        self.sums: dict[str, Array] = {}
        self.signed: dict[str, Array] = {}
        self.weight = 0.0

    def add(self, products: Mapping[str, Array]) -> None:
        """One batch: gradient * weight by parameter; those that are missing count as zero."""
        for group in self.groups:
            change = unit_sums(group, products)
            for sums, new in ((self.sums, change**2), (self.signed, change)):
                old = sums.get(group.name)
                sums[group.name] = new if old is None else old * self.decay + new
        self.weight = self.weight * self.decay + 1

    def means(self) -> dict[str, Array]:
        """What `Evidence.taylor` holds."""
        return {name: total / max(self.weight, 1e-12) for name, total in self.sums.items()}

    def signed_means(self) -> dict[str, Array]:
        """What `Evidence.signed` holds."""
        return {name: total / max(self.weight, 1e-12) for name, total in self.signed.items()}
