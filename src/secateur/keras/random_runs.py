"""Models, graphs and layers on random numbers: what sizes their tensors really have, and what they compute."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from ..base.errors import SecateurError
from .causes import cause
from .specs import symbolic

if TYPE_CHECKING:
    from keras import KerasTensor, Model

SIZES = (24, 96, 384, 4096, 8, 3)  # tried in turn for dimensions of no fixed size
BATCH = 2
NEAR = 1e-3


def numbers(tensors: Any, size: int) -> Any:
    """Random numbers in the place of symbolic tensors, nested as they may be; `size` where they have no fixed one."""
    random = np.random.default_rng(0)

    def number(value: Any) -> Any:
        if not is_symbolic(value):
            return value
        shape = sized(value, size)
        return random_value(keras.KerasTensor(shape, value.dtype), random)

    return keras.tree.map_structure(number, tensors)


def nodes_of(graph: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """All nodes of a graph and of the models nested in it, with the places of their operations."""
    for level in graph._nodes_by_depth.values():
        for node in level:
            place = (*path, node.operation.name)
            yield place, node
            inner = getattr(node.operation, "_functional", node.operation)
            if hasattr(inner, "_nodes_by_depth"):
                yield from nodes_of(inner, place)


def sizes_of(graph: Any) -> dict[int, Any]:
    """By `id` of every tensor of a graph and of those nested in it: one of its real size for random inputs; nothing if
    those do not run."""
    for size in SIZES:
        with suppress(Exception), no_gradients():
            return _sizes_of(graph, numbers(list(graph.inputs), size))
    return {}


def _sizes_of(graph: Any, inputs: list[Any]) -> dict[int, Any]:
    nodes = [node for level in graph._nodes_by_depth.values() for node in level]
    tensors = [tensor for node in nodes for tensor in node.outputs]
    values = dict(zip(map(id, tensors), keras.Function(graph.inputs, tensors)(inputs), strict=True))
    sizes = {id(t): keras.KerasTensor(tuple(values[id(t)].shape), t.dtype) for t in tensors}
    for node in nodes:
        inner = getattr(node.operation, "_functional", node.operation)
        if hasattr(inner, "_nodes_by_depth"):
            sizes |= _sizes_of(inner, [values[id(tensor)] for tensor in node.input_tensors])
    return sizes


def outputs_of(call: object, *models: Model) -> list[list[Any]]:
    """What each model makes of the same random numbers, as arrays; `call` describes the inputs of subclassed ones.

    Raises:
        SecateurError: there is no size, of those that are tried, that all of them run on.
    """
    inputs = symbolic(call) if call else [getattr(models[0], "_functional", models[0]).input]
    problem: Exception | None = None
    for size in SIZES:
        given, results = numbers(inputs, size), []
        try:
            for model in models:
                with no_gradients():
                    flat = keras.tree.flatten(model(*given, training=False))
                results.append([np.asarray(keras.ops.convert_to_numpy(value)) for value in flat])
            return results
        except Exception as error:  # a size that the models do not take
            problem = problem or error
    raise SecateurError(f"model '{models[0].name}' does not run on random numbers: {cause(problem)}")


def random_value(tensor: KerasTensor, random: np.random.Generator) -> Any:
    kind = keras.backend.standardize_dtype(tensor.dtype)
    if kind == "bool":
        return keras.ops.convert_to_tensor(np.ones(tensor.shape, bool))
    if "int" in kind:
        return keras.ops.convert_to_tensor(random.integers(0, 2, tensor.shape), kind)
    return keras.ops.convert_to_tensor(random.uniform(0, 2, tensor.shape), kind)  # also as numbers of tokens


@contextmanager
def no_gradients() -> Iterator[None]:
    """Where nothing is learned: PyTorch keeps nothing for gradients."""
    if keras.backend.backend() != "torch":
        yield
        return
    import torch

    with torch.no_grad():
        yield


def sized(tensor: KerasTensor, size: int) -> list[int]:
    """Numbers for what has no fixed size. The first axis need not be the batch: positions go along it, too."""
    return [(BATCH if axis == 0 else size) if n is None else n for axis, n in enumerate(tensor.shape)]


def is_symbolic(value: object) -> bool:
    return isinstance(value, keras.KerasTensor)
