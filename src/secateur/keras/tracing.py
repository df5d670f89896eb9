"""What the `call` of a layer or model of another class does, as a graph of Keras layers and operations.

`call` runs once on symbolic tensors of fixed sizes, with the layer's own variables as symbolic tensors too. What it
does without them (positions, masks) becomes a constant. The graph is kept only if it computes what the layer computes.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from .causes import cause
from .random_runs import NEAR, SIZES, is_symbolic, no_gradients, numbers, random_value, sized

if TYPE_CHECKING:
    from keras import KerasTensor, Layer, Variable


class UntraceableError(Exception):
    """Why `call` is no such graph, in a few words."""


class Symbol(keras.KerasTensor):  # type: ignore[misc]
    """A variable of the layer, or a constant, in the graph."""

    @property
    def value(self) -> Symbol:
        """Itself: layers read their variables with and without `.value`."""
        return self


class Size(int):
    """A size that `call` read from a tensor, and not from a setting: it follows when the tensor is narrower."""


def _sizes(tensor: KerasTensor) -> tuple[Any, ...]:
    return tuple(size if size is None else Size(size) for size in tensor._shape)


@dataclass
class Trace:
    """`graph` has the nodes; its first inputs are the tensors of the call in order, then `symbols`."""

    graph: Any
    tensors: list[KerasTensor]
    symbols: list[tuple[Symbol, Any]]  # with its variable or constant array
    read: list[Any]  # variables of inner layers that `call` itself reads
    nodes: list[Any] = field(default_factory=list)

    def close(self) -> None:
        """Take the nodes out of the layers again."""
        for node in self.nodes:
            for tensor in node.input_tensors:
                sources = tensor._keras_history.operation._outbound_nodes
                if node in sources:
                    sources.remove(node)
            if node in node.operation._inbound_nodes:
                node.operation._inbound_nodes.remove(node)


def traced(layer: Layer, args: Sequence[object], kwargs: Mapping[str, object]) -> Trace:
    """The graph of a call of `layer`, whose tensors are described by those in `args` and `kwargs`.

    Raises:
        UntraceableError: a computation that is none of Keras' layers and operations.
    """
    problem: Exception | None = None
    loose = any(None in t.shape[1:] for t in keras.tree.flatten([list(args), dict(kwargs)]) if is_symbolic(t))
    for size in SIZES if loose else SIZES[:1]:
        for named in (True, False):  # a few operations take nothing but a plain int
            try:
                return _traced(layer, args, kwargs, size, named)
            except UntraceableError:
                raise
            except Exception as error:  # whatever the layer's code raises on symbolic tensors, or at this size
                problem = problem or error
                if "Size" not in str(error):
                    break
    raise UntraceableError(cause(problem)) from problem


def _traced(layer: Layer, args: Sequence[object], kwargs: Mapping[str, object], size: int, named: bool) -> Trace:
    tensors: list[KerasTensor] = []

    def symbol(value: Any) -> Any:
        if not is_symbolic(value):
            return value
        shape = sized(value, size)
        tensors.append(keras.Input(batch_shape=shape, dtype=value.dtype))
        return tensors[-1]

    own_args, own_kwargs = keras.tree.map_structure(symbol, (tuple(args), dict(kwargs)))
    if "training" in inspect.signature(layer.call).parameters:
        own_kwargs["training"] = False
    with _symbols(layer, named) as scope:
        result = layer.call(*own_args, **own_kwargs)
    outputs = [
        scope.symbol(o, o.dtype) if keras.ops.is_tensor(o) else o for o in keras.tree.flatten(answered(result)[0])
    ]
    if not outputs or not all(isinstance(one, keras.KerasTensor) for one in outputs):
        raise UntraceableError("what it returns is not made by Keras' layers and operations")
    symbols = list(scope.symbols.values())
    graph = keras.Function([*tensors, *(s for s, _ in symbols)], outputs)
    trace = Trace(graph, tensors, symbols, scope.read)
    trace.nodes = [n for level in graph._nodes_by_depth.values() for n in level if not n.is_input]
    try:
        _verify(layer, trace, (tuple(args), dict(kwargs)))
    except BaseException:
        trace.close()
        raise
    return trace


def answered(result: object) -> tuple[Any, tuple[None, ...]]:
    """What a call returns, and apart from it the caches at its end that it was not asked for."""
    if not isinstance(result, tuple):
        return result, ()
    length = max((n for n, one in enumerate(result, 1) if one is not None), default=0)
    return result[:length], (None,) * (len(result) - length)


def agrees(layer: Layer, parent: type, args: Sequence[object], kwargs: Mapping[str, object]) -> bool:
    """Whether `layer` computes, called like this, what the `call` of its Keras class `parent` computes."""
    args, kwargs = numbers((tuple(args), dict(kwargs)), SIZES[0])
    try:
        with no_gradients():
            both = [keras.tree.flatten(c(layer, *args, **kwargs)) for c in (type(layer).call, parent.call)]  # type: ignore[attr-defined]
    except Exception:  # another signature, another shape
        return False
    first, second = ([np.asarray(keras.ops.convert_to_numpy(v)) for v in some] for some in both)
    return len(first) == len(second) and all(
        a.shape == b.shape and np.allclose(a, b, NEAR, NEAR) for a, b in zip(first, second, strict=True)
    )


def _verify(layer: Layer, trace: Trace, given: object) -> None:
    """The graph computes what the layer does, on random numbers.

    Raises:
        UntraceableError: it does not: a library of its own took part.
    """
    random = np.random.default_rng(0)
    values = [random_value(tensor, random) for tensor in trace.tensors]
    rest = iter(values)
    args, kwargs = keras.tree.map_structure(lambda v: next(rest) if is_symbolic(v) else v, given)
    if "training" in inspect.signature(layer.call).parameters:
        kwargs["training"] = False
    convert = keras.ops.convert_to_tensor
    with no_gradients():
        expected = keras.tree.flatten(answered(layer(*args, **kwargs))[0])
        inputs = [*values, *(convert(v.value if hasattr(v, "trainable") else v) for _, v in trace.symbols)]
        got = keras.tree.flatten(trace.graph(inputs))
    for one, two in zip(expected, got, strict=True):
        first, second = (np.asarray(keras.ops.convert_to_numpy(v)) for v in (one, two))
        if first.shape != second.shape or not np.allclose(first, second, NEAR, NEAR, equal_nan=True):
            raise UntraceableError("it computes with more than Keras' layers and operations")


class _Scope(keras.StatelessScope):  # type: ignore[misc]
    """Notes which variables are read outside of layers, and keeps assignments from happening."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[Any] = []
        self.symbols: dict[int, tuple[Symbol, Any]] = {}

    def get_current_value(self, variable: Variable) -> Any:
        self.read.append(variable)
        return super().get_current_value(variable)

    def symbol(self, value: Any, dtype: Any) -> Symbol:
        """The symbolic tensor of a variable or constant."""
        if id(value) not in self.symbols:
            tensor = keras.Input(batch_shape=tuple(value.shape), dtype=dtype)
            tensor.__class__ = Symbol
            self.symbols[id(value)] = tensor, value
        return self.symbols[id(value)][0]


@contextmanager
def _symbols(layer: Layer, named: bool = True) -> Iterator[_Scope]:
    """The layer's own variables are symbols inside; a layer that is called on constants alone is called on symbols."""
    scope, before = _Scope(), []
    base = keras.layers.Layer
    call, tensor, array = base.__call__, keras.KerasTensor.__tf_tensor__, keras.KerasTensor.__jax_array__
    depth = 0

    def symbolic_call(self: Any, *args: object, **kwargs: object) -> Any:
        nonlocal depth
        flat = keras.tree.flatten([list(args), kwargs])
        if depth == 0 and not any(isinstance(a, keras.KerasTensor) for a in flat):
            args, kwargs = keras.tree.map_structure(
                lambda a: scope.symbol(a, a.dtype) if keras.ops.is_tensor(a) or isinstance(a, np.ndarray) else a,
                (args, kwargs),
            )
        foreign = type(self).__module__.split(".")[0] != "keras"
        given = vars(self).get("compute_output_spec"), self.compute_output_spec
        rest: tuple[None, ...] = ()

        def spec(*args: object, **kwargs: object) -> Any:
            nonlocal rest
            if not foreign:
                result = given[1](*args, **kwargs)
                if all(None not in one.shape for one in keras.tree.flatten(result) if is_symbolic(one)):
                    return result  # EinsumDense, for one, may state fewer sizes than its input has
            result, rest = answered(keras.Operation.compute_output_spec(self, *args, **kwargs))
            return result

        # A class with another `call` may go by the `compute_output_spec` of its parent.
        if given[0] is None:
            vars(self)["compute_output_spec"] = spec
        depth += 1
        try:
            result = call(self, *args, **kwargs)
            return (*result, *rest) if rest else result
        finally:
            depth -= 1
            if given[0] is None:
                del vars(self)["compute_output_spec"]

    for holder, key, value in variables_of(layer):
        before.append((holder, key, value))
        _put(holder, key, scope.symbol(value, value.dtype))
    shape = keras.KerasTensor.shape
    if named:
        keras.KerasTensor.shape = property(_sizes, shape.fset)
    base.__call__ = symbolic_call
    keras.KerasTensor.__tf_tensor__ = _shape_only
    del keras.KerasTensor.__jax_array__  # so that an array of JAX leaves a product with a symbol to the symbol
    try:
        with scope:
            yield scope
    finally:
        base.__call__, keras.KerasTensor.__tf_tensor__, keras.KerasTensor.shape = call, tensor, shape
        keras.KerasTensor.__jax_array__ = array
        for holder, key, value in before:
            _put(holder, key, value)


def variables_of(layer: Layer) -> Iterator[tuple[Any, Any, Any]]:
    """Where a layer's own variables are: (object's dictionary, list or dictionary; key; variable)."""
    own = {id(v) for v in (*layer._trainable_variables, *layer._non_trainable_variables)}
    for name, value in list(vars(layer).items()):
        if id(value) in own:
            yield vars(layer), name, value
        elif isinstance(value, list | dict) and name not in ("_trainable_variables", "_non_trainable_variables"):
            items = list(value.items() if isinstance(value, dict) else enumerate(value))
            yield from ((value, key, one) for key, one in items if id(one) in own)


def _put(holder: Any, key: Any, value: Any) -> None:
    (list if isinstance(holder, list) else dict).__setitem__(holder, key, value)


def _shape_only(tensor: KerasTensor, dtype: object = None, name: object = None) -> Any:
    """For `tf.shape` and the like, which read nothing but sizes; nothing else of TensorFlow takes symbols."""
    import tensorflow

    frame = inspect.currentframe()
    while frame is not None and not frame.f_code.co_name.startswith(("shape", "rank", "size")):
        frame = frame.f_back
    if frame is None or "tensorflow" not in frame.f_code.co_filename:
        raise ValueError("TensorFlow's own functions are no operations of Keras")
    return tensorflow.zeros(tensor.shape, dtype or tensor.dtype)
