"""How a weight matrix is stored and multiplied: fp32, fp16, or int8.

int8 is unsigned bytes with zero point 128 and a scale for every 64 inputs of a column: signed ones saturate on AVX2
without VNNI (`vpmaddubsw`). Activations are quantised row by row (or not at all), so a clip's result does not depend on
what else is in its batch; one scale for a whole tensor would be faster, and lost too much on speech.

Where hundreds of rows are multiplied (an encoder), int8 computes in fp32. int8-dynamic and int8-static multiply bytes
there too: signed ones with a scale a column, no larger than cannot saturate; on a CPU with VNNI that is several times
as fast. The activations' scale is each row's own largest value, or one for each layer that calibration found.
Whisper's encoder has a few inputs that are far larger than the rest: `smoothing` evens them out, and the error rate on
dev decides (`secateur export --precision auto`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ..base.errors import SecateurError, nearest
from .graph import FUSED, Array, Graph

Precision = Literal["fp32", "fp16", "int8", "int8-dynamic", "int8-static"]
PRECISIONS: tuple[str, ...] = get_args(Precision)
ZERO = 128  # the unsigned byte that means 0
BLOCK = 64  # inputs that share a scale
FLOAT = 1  # ONNX's number for float32
MOST, PAIR = 127, 128  # of a signed byte; of two neighbours together: 255 * 128 < 2 ** 15

Ranges = Mapping[str, float]  # the largest magnitude of what a layer reads, by the layer's name


def check_precision(name: str) -> None:
    """Raise a `SecateurError` unless `name` is one of `PRECISIONS`."""
    if name not in PRECISIONS:
        raise SecateurError(f"precision '{name}' is not one of {', '.join(PRECISIONS)}{nearest(name, PRECISIONS)}")


def quantise(weight: Array) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """`weight` (in, out) as bytes (out, blocks, BLOCK), the last block filled up, and scales (out, blocks).

    (bytes - 128) * scale is off by half a scale at most.
    """
    inputs, outputs = weight.shape
    blocks = np.pad(weight.T, ((0, 0), (0, -inputs % BLOCK))).reshape(outputs, -1, BLOCK)
    scale = np.abs(blocks).max(2) / 127
    scale[scale == 0] = 1  # a block may be all zeros
    values = np.rint(blocks / scale[..., None]) + ZERO
    return values.astype(np.uint8), scale.astype(np.float32)


def quantise_columns(weight: Array) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """`weight` (in, out) as signed bytes and a scale a column (out,), as large as no sum of two products can saturate.

    CPUs without VNNI add the products of inputs 2k and 2k + 1 in 16 bits: what two neighbours of the same sign may be
    together bounds a column. Two that are large at once are rare, so most columns use more than the 7 bits that would
    be safe for any.
    """
    inputs, outputs = weight.shape
    pairs = np.pad(weight, ((0, inputs % 2), (0, 0))).reshape(-1, 2, outputs)
    together = np.maximum(np.maximum(pairs, 0).sum(1), np.maximum(-pairs, 0).sum(1)).max(0)
    # Rounding may add half a unit to each of the two.
    scale = np.maximum(np.maximum(np.abs(weight).max(0) / MOST, together / (PAIR - 1)), 1e-12)
    return np.rint(weight / scale).astype(np.int8), scale.astype(np.float32)


@dataclass(frozen=True)
class Matrix:
    """A weight (in, out) in a graph, as fp32 or fp16, that multiplies from the right."""

    graph: Graph
    precision: str
    values: str

    def multiply(self, x: str, bias: str = "") -> str:
        """`x` (..., in) to (..., out), plus `bias` (out,)."""
        product = self.graph.add("MatMul", x, self.floats())
        return self.graph.add("Add", product, bias) if bias else product

    def floats(self) -> str:
        """The weight as float32; onnxruntime computes this once, when it loads (constant folding)."""
        return self.values if self.precision == "fp32" else self.graph.add("Cast", self.values, to=FLOAT)

    def columns(self, ids: str) -> str:
        """The columns `ids` (batch, n) as (batch, n, in), from the same values that `multiply` reads."""
        found = self.graph.add("Transpose", self.graph.add("Gather", self.values, ids, axis=1), perm=[1, 2, 0])
        return found if self.precision == "fp32" else self.graph.add("Cast", found, to=FLOAT)


@dataclass(frozen=True)
class ByteMatrix(Matrix):
    """Stored as bytes (out, blocks, BLOCK) with an fp16 scale a block (out, blocks).

    `many_rows`: multiplied as float32, which is faster for hundreds of rows; else as bytes, four at a time.
    """

    scale: str
    shape: tuple[int, int]
    many_rows: bool

    def multiply(self, x: str, bias: str = "") -> str:
        """As above. Where bytes are multiplied, `x` is quantised by row and block, so rows do not touch each other."""
        if self.many_rows:
            return super().multiply(x, bias)
        inputs, outputs = self.shape
        return self.graph.add(
            "MatMulNBits", x, self.values, self._scales(self.scale), *(["", "", bias] if bias else []), domain=FUSED,
            K=inputs, N=outputs, bits=8, block_size=BLOCK, accuracy_level=4,
        )  # fmt: skip

    def floats(self) -> str:
        """As above."""
        return self.graph.add("Transpose", self._floats(self.values, self.scale, [self.shape[1], -1]), perm=[1, 0])

    def columns(self, ids: str) -> str:
        """As above."""
        g = self.graph
        return self._floats(g.add("Gather", self.values, ids), g.add("Gather", self.scale, ids), [0, 0, -1])

    def _scales(self, stored: str) -> str:
        return self.graph.add("Cast", stored, to=FLOAT)

    def _floats(self, values: str, scale: str, shape: list[int]) -> str:
        """Blocks (..., blocks, BLOCK) times their scales, joined to `shape`, without what fills the last block."""
        g = self.graph
        centred = g.add("Sub", g.add("Cast", values, to=FLOAT), g.constant(ZERO, np.float32))
        scaled = g.add("Mul", centred, g.add("Unsqueeze", self._scales(scale), g.constant([-1])))
        joined = g.add("Reshape", scaled, g.constant(shape))
        inputs = self.shape[0]
        return g.slice(joined, g.constant([0]), g.constant([inputs]), len(shape) - 1) if inputs % BLOCK else joined


@dataclass(frozen=True)
class ColumnMatrix(Matrix):
    """Stored as signed bytes (in, out) with a scale a column (out,); multiplied as bytes.

    `largest` is the magnitude that the inputs reach, 0: each row's own.
    """

    scale: str
    largest: float

    def multiply(self, x: str, bias: str = "") -> str:
        """As above."""
        if self.largest:
            step = self.graph.constant(self.largest / 127, np.float32)
            return self._bytes(x, step, bias)
        g = self.graph
        magnitude = g.add("ReduceMax", g.add("Abs", x), g.constant([-1]), keepdims=1)
        step = g.add("Mul", g.add("Max", magnitude, g.constant(1e-9, np.float32)), g.constant(1 / 127, np.float32))
        product = g.add("Mul", self._bytes(g.add("Div", x, step), g.constant(1, np.float32)), step)
        return g.add("Add", product, bias) if bias else product

    def _bytes(self, x: str, step: str, bias: str = "") -> str:
        """`x` as bytes in units of `step`, which all rows share, times the matrix."""
        g, zero = self.graph, self.graph.constant(ZERO, np.uint8)
        units = g.add("QuantizeLinear", x, step, zero)
        inputs = [units, self.values, step, self.scale, zero, *(["", bias] if bias else [])]
        return g.add("MatMulIntegerToFloat", *inputs, domain=FUSED)

    def floats(self) -> str:
        """As above."""
        return self.graph.add("Mul", self.graph.add("Cast", self.values, to=FLOAT), self.scale)

    def columns(self, ids: str) -> str:
        """As above.

        Raises:
            NotImplementedError: such a matrix is no embedding.
        """
        raise NotImplementedError


def store(
    graph: Graph, name: str, weight: Array, precision: str, many_rows: bool, ranges: Ranges | None = None
) -> Matrix:
    """Put `weight` (in, out) into `graph`; `many_rows` says that hundreds of rows are multiplied at once.

    `ranges` are needed by int8-static; a layer that is not among them is quantised by row.
    """
    if precision == "fp32":
        return Matrix(graph, precision, graph.weight(name, weight.astype(np.float32)))
    if precision == "fp16":
        return Matrix(graph, precision, graph.weight(name, weight.astype(np.float16)))
    if many_rows and precision != "int8":
        units, column = quantise_columns(weight)
        stored = graph.weight(name, units)
        largest = 0.0 if precision == "int8-dynamic" else (ranges or {}).get(name.split("+")[0], 0.0)
        return ColumnMatrix(graph, precision, stored, graph.weight(f"{name}.scale", column.astype(np.float32)), largest)
    values, scale = quantise(weight)
    scales = graph.weight(f"{name}.scale", scale.astype(np.float16))
    inputs, outputs = weight.shape
    return ByteMatrix(graph, precision, graph.weight(name, values), scales, (inputs, outputs), many_rows)


def store_sum(graph: Graph, name: str, values: Array, precision: str) -> str:
    """A table (..., columns) that is only added (positions), as float32; fp16 keeps it in half, int8 in a byte.

    A row in bytes has a scale of its own; onnxruntime multiplies them once, when it loads.
    """
    if precision == "fp32":
        return graph.weight(name, values.astype(np.float32))
    if precision.startswith("int8"):
        scale = np.maximum(np.abs(values).max(-1, keepdims=True), 1e-9) / 127
        stored = graph.weight(name, np.rint(values / scale).astype(np.int8))
        rows = graph.weight(f"{name}.scale", scale.astype(np.float32))
        return graph.add("Mul", graph.add("Cast", stored, to=FLOAT), rows)
    return graph.add("Cast", graph.weight(name, values.astype(np.float16)), to=FLOAT)
