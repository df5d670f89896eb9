"""Data for criteria as batches: arrays, data sets of TensorFlow and PyTorch, Keras' PyDataset, generators and
recordings of different lengths; with targets, or inputs alone."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..base.errors import SecateurError
from ..base.extras import require
from .inputs import check_shapes, nested

if TYPE_CHECKING:
    from keras import Model

Arrays = NDArray[Any]
Data = Any  # see `prune`
ONCE = 64  # batches that are kept of what can be read only once


@dataclass(frozen=True)
class SampleBatch:
    """Inputs as the model takes them, targets and weights of examples where there are any; arrays (batch, ...)."""

    x: Any
    y: Any = None
    weight: Any = None


class SampleBatches:
    """`data` in batches of `size` where it has none of its own, as often as they are asked for.

    What can be read only once, such as a generator, is kept: at most 64 batches, with a warning where there are more;
    so it is with a PyDataset or tf.data.Dataset that has no end.

    Raises:
        SecateurError: nothing in it, or something that gives no batches.
    """

    def __init__(self, data: Data, model: Model, size: int) -> None:
        self.size, self.model = size, model
        self.inputs = _inputs_of(model)
        data = _preprocessed(model, data)
        if isinstance(data, Iterator):
            data = self._kept(data)
        self.pieces = self._pieces(data)

    def __iter__(self) -> Iterator[SampleBatch]:
        empty = True
        for batch in self.pieces():
            empty = False
            yield batch
        if empty:
            raise SecateurError("data has no batches: give arrays, or an iterable of batches that is not used up")

    def first(self) -> SampleBatch:
        """One batch."""
        return next(iter(self))

    def _kept(self, data: Iterator[object]) -> list[Any]:
        kept = list(itertools.islice(data, ONCE))
        if next(data, None) is not None:
            warnings.warn(
                f"the criterion looks at the first {ONCE} batches of data, which can be read only once: give a list or "
                "a data set for more",
                stacklevel=5,
            )
        return [self._batch(one, torch=False) for one in kept]

    def _pieces(self, data: object) -> Callable[[], Iterable[SampleBatch]]:
        keras = require("keras", "keras")
        kind = type(data).__module__.split(".")[0]
        if isinstance(data, keras.utils.PyDataset):
            numbers = range(ONCE if _without_end(data) else data.num_batches)
            return lambda: (self._batch(data[number], torch=False) for number in numbers)
        if isinstance(data, tuple) and 1 <= len(data) <= 3:
            return self._sliced(*data)
        if isinstance(data, Mapping) or (hasattr(data, "shape") and hasattr(data, "__getitem__")):
            return self._sliced(data)
        if isinstance(data, Sequence) and len(data) and not isinstance(data, str):
            if all(isinstance(one, SampleBatch) for one in data):
                return lambda: data
            if not any(isinstance(one, tuple | Mapping) for one in data) and not self._batched(data[0]):
                return self._sliced(data)
        if isinstance(data, Iterable) and not isinstance(data, str):
            most = ONCE if _without_end(data) else None
            return lambda: (self._batch(one, kind == "torch") for one in itertools.islice(data, most))
        raise SecateurError(
            f"data: {type(data).__name__} gives no batches; give (inputs, targets), inputs alone, or an iterable of "
            "batches such as a tf.data.Dataset, a PyDataset or a DataLoader"
        )

    def _batched(self, one: object) -> bool:
        """Whether an array of a list has the batch's axis, and the list is of batches."""
        rank = len(np.shape(_array(one)))
        return self.inputs is not None and len(self.inputs) == 1 and rank == self.inputs[0]

    def _sliced(self, x: object, y: object = None, weight: object = None) -> Callable[[], Iterable[SampleBatch]]:
        x = nested(self.model, x, "data")
        count = self._count(x)

        def pieces() -> Iterator[SampleBatch]:
            for start in range(0, count, self.size):
                part = slice(start, start + self.size)
                inputs = self._taken(self._part(x, part, None))
                for other in (*self._counts(y, count), *self._counts(weight, count)) if not start else ():
                    if other != count:
                        raise SecateurError(
                            f"data: {count} examples of inputs, but {other} targets or weights of examples: "
                            "give as many"
                        )
                yield SampleBatch(inputs, *(self._part(one, part, count) for one in (y, weight)))

        return pieces

    def _taken(self, x: Any) -> Any:
        check_shapes(self.model, x, "data")
        return x

    def _counts(self, value: Any, count: int) -> list[int]:
        """Examples of every array of targets or weights for `count` inputs."""
        if isinstance(value, Mapping):
            return [one for part in value.values() for one in self._counts(part, count)]
        if isinstance(value, list | tuple):
            shaped = all(getattr(one, "shape", ()) for one in value)
            if self._examples(value, count) and (len(value) == count or not shaped):
                return [len(value)]
            return [one for part in value for one in self._counts(part, count)]
        return [] if value is None else [self._count(value)]

    def _count(self, x: Any) -> int:
        if isinstance(x, Mapping):
            return self._count(next(iter(x.values()), ()))
        if isinstance(x, list | tuple) and not self._examples(x, None):
            return self._count(x[0]) if len(x) else 0
        return len(x) if hasattr(x, "__len__") else int(x.shape[0])

    def _examples(self, value: Any, count: int | None) -> bool:
        """Whether a list is of examples, and not of several inputs or targets, of which each has `count`; None for a
        model's inputs."""
        if count is None and self.inputs is not None:
            return len(self.inputs) == 1 or len(value) != len(self.inputs)
        if not all(hasattr(one, "shape") and len(one.shape) for one in value):
            return not any(isinstance(one, Mapping) for one in value)
        lengths = {int(one.shape[0]) for one in value}
        return len(lengths) > 1 or (count is not None and len(value) == count and lengths != {count})

    def _part(self, value: Any, part: slice, count: int | None) -> Any:
        """Rows of inputs (`count` is None) or of something that has `count` of them."""
        if value is None:
            return None
        if isinstance(value, Mapping):
            alone = count is None and self.inputs is not None and len(self.inputs) == 1
            return {name: self._part(one, part, None if alone else self._count(one)) for name, one in value.items()}
        if isinstance(value, list | tuple):
            if self._examples(value, count):
                return padded(value[part])
            return type(value)(self._part(one, part, self._count(value[0])) for one in value)
        return _array(value[part])

    def _batch(self, one: object, torch: bool) -> SampleBatch:
        """One batch of an iterable: (inputs, targets, weights), or inputs; PyTorch's loaders make tuples lists."""
        if not isinstance(one, tuple) and not (torch and isinstance(one, list)):
            one = (one,)
        if not 1 <= len(one) <= 3:
            raise SecateurError(f"data: a batch is inputs, targets and weights of examples, found {len(one)} parts")
        given = nested(self.model, one[0], "data")
        count = self._count(given)
        rest = (self._part(value, slice(None), count) for value in one[1:])
        return SampleBatch(self._taken(self._part(given, slice(None), None)), *rest)


def padded(examples: Sequence[object]) -> Arrays:
    """Examples (frames, ...) of different lengths as one array (batch, longest, ...), with zeros behind them."""
    arrays = [_array(one) for one in examples]
    if len({one.shape for one in arrays}) == 1:
        return np.stack(arrays)
    if len({one.shape[1:] for one in arrays}) > 1 or not arrays[0].ndim:
        raise SecateurError(
            f"data: examples differ in more than their length: {arrays[0].shape} and "
            f"{next(one.shape for one in arrays if one.shape[1:] != arrays[0].shape[1:])}"
        )
    result = np.zeros((len(arrays), max(len(one) for one in arrays), *arrays[0].shape[1:]), arrays[0].dtype)
    for row, one in zip(result, arrays, strict=True):
        row[: len(one)] = one
    return result


def _array(value: Any) -> Arrays:
    """An array of any library; ragged tensors are padded with zeros, wide floats are float32."""
    if hasattr(value, "to_tensor"):  # of TensorFlow, ragged
        value = value.to_tensor()
    if getattr(value, "is_nested", False):  # of PyTorch
        value = value.to_padded_tensor(0)
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    array = np.asarray(value)
    return array.astype(np.float32) if array.dtype == np.float64 else array


def _preprocessed(model: Model, data: Any) -> Any:
    """What a model of KerasHub makes of texts, sounds or pictures before `fit`; of other models, `data` as it is."""
    if getattr(model, "preprocessor", None) is None or not hasattr(model, "preprocess_samples"):
        return data
    keras = require("keras", "keras")
    names = {tensor.name for tensor in model.inputs}

    def ready(one: Any) -> Any:
        parts = one if isinstance(one, tuple) else (one,)
        return one if isinstance(parts[0], Mapping) and names == {*parts[0]} else model.preprocess_samples(*parts)

    if isinstance(data, keras.utils.PyDataset):
        data = [data[number] for number in range(data.num_batches or ONCE)]
    if isinstance(data, Iterator):
        return map(ready, data)
    if isinstance(data, tuple | Mapping | str) or hasattr(data, "shape"):
        return ready(data)
    if isinstance(data, Sequence) and not any(isinstance(one, tuple | Mapping) for one in data):
        return ready(data)
    return [ready(one) for one in data] if isinstance(data, Sequence) else _Mapped(ready, data)


@dataclass(frozen=True)
class _Mapped:
    """A function of every batch, as often as they are asked for."""

    function: Callable[[Any], Any]
    batches: Iterable[Any]

    def __iter__(self) -> Iterator[Any]:
        return map(self.function, self.batches)


def _inputs_of(model: Model) -> list[int] | None:
    """Ranks of a model's inputs; None where it has no graph."""
    inputs = getattr(model, "inputs", None)
    return [len(tensor.shape) for tensor in inputs] if inputs else None


def _without_end(data: object) -> bool:
    """Whether a PyDataset or tf.data.Dataset repeats for ever, which is said."""
    cardinality = getattr(data, "cardinality", None)
    endless = int(cardinality()) == -1 if callable(cardinality) else getattr(data, "num_batches", 0) is None
    if endless:
        warnings.warn(f"data has no end: the criterion looks at its first {ONCE} batches", stacklevel=6)
    return endless
