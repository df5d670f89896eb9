"""What criteria read, from a Keras model: its weights, gradients on given data, norms of what layers read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..base.errors import SecateurError
from ..base.extras import require
from ..models.groups import Group
from ..prune.importance import CRITERIA, Evidence, TaylorSums
from .data import SampleBatch, SampleBatches
from .layers.dense import channel_axis
from .structure import Structure

if TYPE_CHECKING:
    from keras import Layer, Model, Variable

Floats = NDArray[np.float32]
SLOPES = ("taylor", "signed")  # needs that take gradients
NAMES = ("query", "value", "key")  # inputs of a layer that has several


def evidence_of(
    model: Model, structure: Structure, groups: Iterable[Group], criterion: str, data: SampleBatches | None, seed: int
) -> Evidence:
    """Evidence for a criterion: "taylor" and "signed" need `data` and a compiled model, "wanda" the inputs of `data`.

    First-order terms are of the loss that the model was compiled with, its L1 and L2 terms included, without dropout.

    Raises:
        SecateurError: no data or targets for a criterion that needs them, or a model that is not compiled.
    """
    uses = structure.channels.uses
    result = Evidence({name: _numpy(use.variable) for name, use in uses.items() if use.masked}, seed=seed)
    needs = {*CRITERIA[criterion].needs}
    if needs & {*SLOPES}:
        terms = TaylorSums(groups)
        for batch in checked(model, criterion, data):
            slopes = gradients(model, batch)
            terms.add({n: slopes[id(uses[n].variable)] * w for n, w in result.weights.items()})
        result.taylor, result.signed = terms.means(), terms.signed_means()
    if "activations" in needs:
        readers = {name: use.reader for name, use in uses.items() if use.reader is not None}
        batches = checked(model, criterion, data, loss=False)
        with input_squares(readers) as squares:
            for batch in batches:
                model(batch.x, training=False)
        result.inputs = {name: np.sqrt(total) for name, total in squares.items()}
    return result


def check_finite(criterion: str, scores: Mapping[str, Any]) -> None:
    """Refuse scores that rank nothing.

    Raises:
        SecateurError: scores that are not finite.
    """
    for name, values in scores.items():
        if not np.isfinite(values).all():
            raise SecateurError(
                f"criterion '{criterion}': scores of '{name}' are not finite: look for NaN in the weights and in data"
            )


def checked(model: Model, criterion: str, data: SampleBatches | None, loss: bool = True) -> SampleBatches:
    """The data, where there is what the criterion needs.

    Raises:
        SecateurError: no data, no targets for a criterion of the `loss`, or a model that is not compiled.
    """
    if data is None:
        what = "(inputs, targets), or an iterable of such batches" if loss else "inputs, or an iterable of batches"
        raise SecateurError(f"criterion '{criterion}' looks at data: give data={what}")
    if loss and not model.compiled:
        raise SecateurError(f"criterion '{criterion}' needs the loss: compile the model first")
    if loss and data.first().y is None and getattr(model, "loss", None):
        raise SecateurError(f"criterion '{criterion}' needs the loss: give targets in data beside the inputs")
    return data


def gradients(model: Model, batch: SampleBatch) -> dict[int, Floats]:
    """Of the compiled loss, by `id` of the variable; zeros for what is frozen or not reached."""
    keras = require("keras", "keras")
    backend = keras.backend.backend()
    variables = model.trainable_variables
    x, y, weight = batch.x, batch.y, batch.weight
    if backend == "tensorflow":
        tensorflow = require("tensorflow", "keras")
        with tensorflow.GradientTape() as tape:
            loss = _loss(model, x, y, weight)
        slopes = [
            None if slope is None else tensorflow.convert_to_tensor(slope) for slope in tape.gradient(loss, variables)
        ]
    elif backend == "torch":
        model.zero_grad()
        y = keras.tree.map_structure(keras.ops.convert_to_tensor, y)
        _loss(model, x, y, weight).backward()
        slopes = [variable.value.grad for variable in variables]
    elif backend == "jax":
        slopes = _jax_gradients(model, variables, batch)
    else:
        raise SecateurError(f"gradients on Keras' backend '{backend}' are not known here: use criterion='magnitude'")
    result = {
        id(v): np.zeros(v.shape, np.float32) if slope is None else _numpy(slope)
        for v, slope in zip(variables, slopes, strict=True)
    }
    if backend == "torch":
        model.zero_grad()
    return {id(v): np.zeros(v.shape, np.float32) for v in model.weights if id(v) not in result} | result


def _loss(model: Model, x: object, y: object, weight: object) -> Any:
    return model.compute_loss(x=x, y=y, y_pred=model(x, training=False), sample_weight=weight, training=False)


def _jax_gradients(model: Model, variables: Sequence[Variable], batch: SampleBatch) -> list[Any]:
    """JAX differentiates functions of values: the variables' are put in their place for one call."""
    keras, jax = require("keras", "keras"), require("jax", "keras")
    rest = model.non_trainable_variables

    def loss(values: list[Any]) -> Any:
        pairs = [*zip(variables, values, strict=True), *((one, one.value) for one in rest)]
        with keras.StatelessScope(state_mapping=pairs):
            return _loss(model, batch.x, batch.y, batch.weight)

    slopes: list[Any] = jax.grad(loss)([variable.value for variable in variables])
    return slopes


@contextmanager
def input_squares(inputs: Mapping[str, tuple[object, int]]) -> Iterator[dict[str, Floats]]:
    """Sums of squares of what each kernel reads, by feature, over all calls inside `with`."""
    squares: dict[str, Floats] = {}

    def note(name: str, value: Floats) -> None:
        axis = channel_axis(inputs[name][0], value.ndim)
        square = np.square(value).sum(tuple(a for a in range(value.ndim) if a != axis))
        squares[name] = squares.get(name, np.float32(0.0)) + square

    with listening(inputs, note):
        yield squares


@contextmanager
def listening(inputs: Mapping[str, tuple[object, int]], note: Callable[[str, Floats], None]) -> Iterator[None]:
    """Inside `with`, `note` gets by the kernel's name what each kernel reads; its `inputs` are its layer and which of
    that layer's inputs it multiplies."""
    readers: dict[int, tuple[Any, list[tuple[str, int]]]] = {}
    for name, (layer, position) in inputs.items():
        readers.setdefault(id(layer), (layer, []))[1].append((name, position))

    def noting(layer: Layer, kernels: list[tuple[str, int]]) -> Any:
        original = layer.call

        def call(*args: object, **kwargs: object) -> Any:
            for name, position in kernels:
                value = args[position] if position < len(args) else kwargs.get(NAMES[position])
                if value is None:  # attention without a key reads the value; other layers have one input
                    value = args[1] if len(args) > 1 else kwargs.get("value", next(iter(kwargs.values()), None))
                note(name, _numpy(value))
            return original(*args, **kwargs)

        return call

    for layer, kernels in readers.values():
        layer.call = noting(layer, kernels)
    try:
        yield
    finally:
        for layer, _ in readers.values():
            del layer.call


def _numpy(values: object) -> Floats:
    return np.asarray(require("keras", "keras").ops.convert_to_numpy(values), np.float32)
