"""What criteria read, from a Keras model: its weights, gradients on given data, norms of what layers hear."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base.errors import SecateurError
from ..base.extras import require
from ..models.groups import Group
from ..prune.importance import CRITERIA, Evidence
from ..prune.taylor import TaylorSums
from .layers.dense import channel_axis
from .structure import Structure

Floats = NDArray[np.float32]
Data = tuple[Any, Any]  # inputs and targets, as `fit` takes them
SLOPES = ("taylor", "signed")  # needs that take gradients
NAMES = ("query", "value", "key")  # inputs of a layer that has several


def evidence_of(
    model: Any, structure: Structure, groups: Iterable[Group], criterion: str, data: Data | None, batch: int, seed: int
) -> Evidence:
    """Evidence for a criterion: "taylor" and "signed" need `data` and a compiled model, "wanda" the inputs of `data`.

    First-order terms are of the loss that the model was compiled with, its L1 and L2 terms included, without dropout.

    Raises:
        SecateurError: no data for a criterion that needs it, or a model that is not compiled.
    """
    uses = structure.channels.uses
    found = Evidence({name: _numpy(use.variable) for name, use in uses.items() if use.masked}, seed=seed)
    needs = {*CRITERIA[criterion].needs}
    if needs & {*SLOPES, "activations"} and data is None:
        raise SecateurError(f"criterion '{criterion}' looks at data: give data=(inputs, targets)")
    if needs & {*SLOPES}:
        if not model.compiled:
            raise SecateurError(f"criterion '{criterion}' needs the loss: compile the model first")
        terms = TaylorSums(groups)
        for x, y in batches(data, batch):
            slopes = gradients(model, x, y)
            terms.add({n: slopes[id(uses[n].variable)] * w for n, w in found.weights.items()})
        found.taylor, found.signed = terms.means(), terms.signed_means()
    if "activations" in needs:
        with heard(structure) as squares:
            for x, _ in batches(data, batch):
                model(x, training=False)
        found.inputs = {name: np.sqrt(total) for name, total in squares.items()}
    return found


def batches(data: Any, size: int) -> Iterator[Data]:
    """`data` in pieces; inputs may be one array or several."""
    keras = require("keras", "keras")
    x, y = data
    for start in range(0, len(keras.tree.flatten(x)[0]), size):
        yield tuple(keras.tree.map_structure(lambda a: a[start : start + size], part) for part in (x, y))  # noqa: B023


def gradients(model: Any, x: Any, y: Any) -> dict[int, Floats]:
    """Of the compiled loss, by `id` of the variable; zeros for what is frozen or not reached."""
    keras = require("keras", "keras")
    backend = keras.backend.backend()
    variables = model.trainable_variables
    if backend == "tensorflow":
        tensorflow = require("tensorflow", "keras")
        with tensorflow.GradientTape() as tape:
            loss = model.compute_loss(x=x, y=y, y_pred=model(x, training=False), training=False)
        slopes = [
            None if slope is None else tensorflow.convert_to_tensor(slope) for slope in tape.gradient(loss, variables)
        ]
    elif backend == "torch":
        model.zero_grad()
        y = keras.tree.map_structure(keras.ops.convert_to_tensor, y)
        model.compute_loss(x=x, y=y, y_pred=model(x, training=False), training=False).backward()
        slopes = [variable.value.grad for variable in variables]
    else:
        raise SecateurError(f"gradients on Keras' backend '{backend}' are not known here: use criterion='magnitude'")
    found = {
        id(v): np.zeros(v.shape, np.float32) if slope is None else _numpy(slope)
        for v, slope in zip(variables, slopes, strict=True)
    }
    if backend == "torch":
        model.zero_grad()
    return {id(v): np.zeros(v.shape, np.float32) for v in model.weights if id(v) not in found} | found


@contextmanager
def heard(structure: Structure) -> Iterator[dict[str, Floats]]:
    """Sums of squares of what each kernel reads, by feature, over all calls inside `with`."""
    squares: dict[str, Floats] = {}
    readers: dict[int, tuple[Any, list[tuple[str, int]]]] = {}
    for name, use in structure.channels.uses.items():
        if use.reader is not None:
            layer, position = use.reader
            readers.setdefault(id(layer), (layer, []))[1].append((name, position))

    def listening(layer: Any, wanted: list[tuple[str, int]]) -> Any:
        original = layer.call

        def call(*args: Any, **kwargs: Any) -> Any:
            for name, position in wanted:
                value = args[position] if position < len(args) else kwargs.get(NAMES[position])
                if value is None:  # attention without a key hears the value; other layers have one input
                    value = args[1] if len(args) > 1 else kwargs.get("value", next(iter(kwargs.values()), None))
                value = _numpy(value)
                axis = channel_axis(layer, value.ndim)
                square = np.square(value).sum(tuple(a for a in range(value.ndim) if a != axis))
                squares[name] = squares.get(name, np.float32(0.0)) + square
            return original(*args, **kwargs)

        return call

    for layer, wanted in readers.values():
        layer.call = listening(layer, wanted)
    try:
        yield squares
    finally:
        for layer, _ in readers.values():
            del layer.call


def _numpy(values: Any) -> Floats:
    return np.asarray(require("keras", "keras").ops.convert_to_numpy(values), np.float32)
