"""Kernels of a Keras model as matrices (inputs, outputs): what patterns of single weights are chosen in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base.extras import require

Floats = NDArray[np.float32]
OTHERS = ("quantized", "bias", "gamma", "beta", "alpha", "lora", "moving", "mean", "variance", "scale", "slope", "seed")
TRANSPOSED = ("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose", "Embedding", "ReversibleEmbedding")
READS = ("Dense", "Conv1D", "Conv2D", "Conv3D", "EinsumDense")  # layers whose kernel reads the last axis of one input


@dataclass(frozen=True, eq=False)
class Kernel:
    """A variable of several axes: `inputs` of them (first in `order`) are summed over, the rest are outputs."""

    name: str
    layer: Any
    variable: Any
    order: tuple[int, ...]
    inputs: int

    @property
    def shape(self) -> tuple[int, ...]:
        """The variable's axes in `order`."""
        return tuple(int(self.variable.shape[axis]) for axis in self.order)

    def matrix(self, values: Any) -> Any:
        """`values` of the variable's shape as (inputs, outputs); the channels of an input position are consecutive."""
        shape = self.shape
        rows = int(np.prod(shape[: self.inputs]))
        return np.transpose(values, self.order).reshape(rows, -1)

    def restored(self, matrix: Any) -> Any:
        """Back from `matrix` to the variable's shape."""
        return np.transpose(matrix.reshape(self.shape), np.argsort(self.order))

    @property
    def values(self) -> Floats:
        """The variable's values."""
        return np.asarray(require("keras", "keras").ops.convert_to_numpy(self.variable), np.float32)

    @property
    def reader(self) -> tuple[Any, int] | None:
        """The layer and which of its inputs the kernel multiplies, where its rows are that input's features."""
        if type(self.layer).__name__ not in READS or getattr(self.layer, "groups", 1) > 1:
            return None
        taps = self.shape[: self.inputs - 1]
        is_dense = type(self.layer).__name__ in ("Dense", "EinsumDense")
        return None if is_dense and taps else (self.layer, 0)


def kernels_of(model: Any) -> list[Kernel]:
    """Every variable of two axes or more that multiplies something, once; biases and factors are left out."""
    result: dict[int, Kernel] = {}
    names: set[str] = set()
    for layer in model._flatten_layers():
        for variable in (*layer._trainable_variables, *layer._non_trainable_variables):
            if len(variable.shape) < 2 or id(variable) in result or not _multiplies(variable):
                continue
            name = variable.path
            while name in names:
                name = f"{name}#{len(names)}"
            names.add(name)
            result[id(variable)] = Kernel(name, layer, variable, *_axes(layer, len(variable.shape)))
    return list(result.values())


def _multiplies(variable: Any) -> bool:
    words = variable.name.lower().split("_")
    return not any(word.startswith(OTHERS) for word in words)


def _axes(layer: Any, rank: int) -> tuple[tuple[int, ...], int]:
    """The order of a kernel's axes, inputs first, and how many they are."""
    kind = type(layer).__name__
    order = tuple(range(rank))
    if kind in TRANSPOSED:
        return (*order[:-2], order[-1], order[-2]), rank - 1
    equation = getattr(layer, "equation", None)
    if kind == "EinsumDense" and isinstance(equation, str):
        _, kernel, written = "".join(equation.replace("...", "0").split()).replace("->", ",").split(",")
        summed = [axis for axis, label in enumerate(kernel) if label not in written]
        if len(kernel) == rank and summed:
            return (*summed, *(axis for axis in order if axis not in summed)), len(summed)
    if kind.startswith("Depthwise"):  # every output reads one channel: its taps are the inputs
        return order, rank - 2
    return order, rank - 1


def share_of_zeros(kernels: Iterable[Kernel]) -> tuple[int, int]:
    """Weights of the kernels that are zero, and all of them."""
    counts: Sequence[tuple[int, int]] = [(int((k.values == 0).sum()), k.values.size) for k in kernels]
    return sum(zero for zero, _ in counts), sum(size for _, size in counts)
