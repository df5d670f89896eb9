"""How a weight matrix is stored and multiplied: fp32, fp16, or int8.

int8 is unsigned bytes with zero point 128 and a scale for every 64 inputs of a column: signed ones saturate on AVX2
without VNNI (`vpmaddubsw`). Activations are quantised row by row (or not at all), so a clip's result does not depend on
the rest of its batch; one scale for a whole tensor would be faster, but loses too much accuracy on speech.

Weights named to a graph as `nibbles` take four bits, with a scale for every 32 inputs: half the bytes again, for the
embeddings of a large vocabulary and other weights where dev shows no loss (`secateur export --four-bits`).

Where hundreds of rows are multiplied (an encoder), int8 computes in fp32. int8-dynamic and int8-static multiply bytes
there too: signed ones with a scale a column, no larger than cannot saturate; on a CPU with VNNI that is several times
as fast. The activations' scale is each row's own largest value, or one for each layer from calibration.
Whisper's encoder has a few inputs that are far larger than the rest: `smoothing` reduces them, and the error rate on
dev decides (`secateur export --precision auto`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from ..base.errors import SecateurError, nearest
from .graph import FUSED, Array, OnnxGraph

Precision = Literal["fp32", "fp16", "int8", "int8-dynamic", "int8-static"]
PRECISIONS: tuple[str, ...] = get_args(Precision)
ZERO = 128  # the unsigned byte that means 0
BLOCK = 64  # inputs that share a scale
NIBBLES, NIBBLE_ZERO = 32, 8  # of four bits: inputs that share a scale, and what means 0
COLUMNS = 1 << 22  # values that are quantised at once
SHARES = (1.0, 0.95, 0.9, 0.85, 0.8, 0.75)  # of a block's largest value: where four bits may end
FLOAT, SIGNED = 1, 3  # ONNX's numbers for float32 and int8
MOST, PAIR = 127, 128  # of a signed byte; of two neighbours together: 255 * 128 < 2 ** 15

Ranges = Mapping[str, float]  # the largest magnitude of what a layer reads, by the layer's name


def check_precision(name: str) -> None:
    """Raise a `SecateurError` unless `name` is one of `PRECISIONS`."""
    if name not in PRECISIONS:
        raise SecateurError(f"precision '{name}' is not one of {', '.join(PRECISIONS)}{nearest(name, PRECISIONS)}")


def check_needs(precision: str, calibration: object | None, nibbles: Sequence[str]) -> None:
    """Refuse four bits without int8, and int8-static without recordings to take its ranges from.

    Raises:
        SecateurError: one of the two.
    """
    if precision == "int8-static" and calibration is None:
        raise SecateurError("int8-static needs recordings of the kind to come: name train data with --calibrate")
    if nibbles and not precision.startswith("int8"):
        raise SecateurError(f"--four-bits goes with int8, int8-dynamic and int8-static, not with {precision}")


Q = TypeVar("Q", bound=np.generic)


def _by_columns(
    quantiser: Callable[[Array], tuple[NDArray[Q], NDArray[np.float32]]], weight: Array, axis: int = 0
) -> tuple[NDArray[Q], NDArray[np.float32]]:
    """`quantiser` of `weight` (in, out), some columns at a time: its own copies are several times as large. Values
    are joined along `axis`, scales along the first."""
    columns = max(1, COLUMNS // max(1, len(weight)))
    pieces = [quantiser(weight[:, start : start + columns]) for start in range(0, weight.shape[1], columns)]
    if len(pieces) == 1:
        return pieces[0]
    return np.concatenate([v for v, _ in pieces], axis), np.concatenate([s for _, s in pieces])


def quantise(weight: Array) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """`weight` (in, out) as bytes (out, blocks, BLOCK), the last block filled up, and scales (out, blocks).

    (bytes - 128) * scale is off by half a scale at most.
    """
    return _by_columns(_quantise, weight)


def _quantise(weight: Array) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    inputs, outputs = weight.shape
    blocks = np.pad(weight.T, ((0, 0), (0, -inputs % BLOCK))).reshape(outputs, -1, BLOCK)
    scale = np.abs(blocks).max(2) / 127
    scale[scale == 0] = 1  # a block may be all zeros
    values = np.rint(blocks / scale[..., None]) + ZERO
    return values.astype(np.uint8), scale.astype(np.float32)


def quantise_nibbles(weight: Array) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """`weight` (in, out) in four bits, two to a byte (out, blocks, NIBBLES / 2), and scales (out, blocks).

    (nibble - 8) * scale; a scale may be negative, so that the larger end of a block gets the eighth step. Of a few ends
    the one with the least squared error is taken. The low four bits are the first of each pair.
    """
    return _by_columns(_quantise_nibbles, weight)


def _quantise_nibbles(weight: Array) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    inputs, outputs = weight.shape
    blocks = np.pad(weight.T, ((0, 0), (0, -inputs % NIBBLES))).reshape(outputs, -1, NIBBLES).astype(np.float32)
    end = np.take_along_axis(blocks, np.abs(blocks).argmax(2)[..., None], 2)
    best, scales, least = np.zeros(blocks.shape, np.uint8), np.ones(end.shape, np.float32), np.full(end.shape, np.inf)
    for share in SHARES:
        for steps in (-NIBBLE_ZERO, NIBBLE_ZERO - 1):
            scale = (share * end / steps).astype(np.float16).astype(np.float32)  # as it is stored
            scale[scale == 0] = 1
            values = np.clip(np.rint(blocks / scale), -NIBBLE_ZERO, NIBBLE_ZERO - 1)
            error = ((values * scale - blocks) ** 2).sum(2, keepdims=True)
            better = error < least
            best = np.where(better, (values + NIBBLE_ZERO).astype(np.uint8), best)
            scales, least = np.where(better, scale, scales), np.where(better, error, least)
    return (best[..., ::2] | (best[..., 1::2] << 4)).astype(np.uint8), scales[..., 0]


def quantise_columns(weight: Array) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """`weight` (in, out) as signed bytes and a scale a column (out,), as large as no sum of two products can saturate.

    CPUs without VNNI add the products of inputs 2k and 2k + 1 in 16 bits: what two neighbours of the same sign may be
    together bounds a column. Two that are large at once are rare, so most columns use more than the 7 bits that would
    be safe for any.
    """
    return _by_columns(_quantise_columns, weight, axis=1)


def _quantise_columns(weight: Array) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    inputs, outputs = weight.shape
    pairs = np.pad(weight, ((0, inputs % 2), (0, 0))).reshape(-1, 2, outputs)
    pair_sums = np.maximum(np.maximum(pairs, 0).sum(1), np.maximum(-pairs, 0).sum(1)).max(0)
    # Rounding may add half a unit to each of the two.
    scale = np.maximum(np.maximum(np.abs(weight).max(0) / MOST, pair_sums / (PAIR - 1)), 1e-12)
    return np.rint(weight / scale).astype(np.int8), scale.astype(np.float32)


@dataclass(frozen=True)
class Matrix:
    """A weight (in, out) in a graph, as fp32 or fp16, that multiplies from the right."""

    graph: OnnxGraph
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
        rows = self.graph.add("Transpose", self.graph.add("Gather", self.values, ids, axis=1), perm=[1, 2, 0])
        return rows if self.precision == "fp32" else self.graph.add("Cast", rows, to=FLOAT)


@dataclass(frozen=True)
class ByteMatrix(Matrix):
    """Stored as bytes (out, blocks, BLOCK), or two to a byte, with an fp16 scale a block (out, blocks).

    `many_rows`: multiplied as float32, which is faster for hundreds of rows; else as bytes, four at a time.
    """

    scale: str
    shape: tuple[int, int]
    many_rows: bool
    bits: int = 8

    def multiply(self, x: str, bias: str = "") -> str:
        """See `Matrix.multiply`. As bytes, `x` is quantised by row and block, so that rows are independent."""
        if self.many_rows:
            return super().multiply(x, bias)
        inputs, outputs = self.shape
        return self.graph.add(
            "MatMulNBits", x, self.values, self._scales(self.scale), *(["", "", bias] if bias else []), domain=FUSED,
            K=inputs, N=outputs, bits=self.bits, block_size=self._block, accuracy_level=4,
        )  # fmt: skip

    def floats(self) -> str:
        """See `Matrix.floats`."""
        return self.graph.add("Transpose", self._floats(self.values, self.scale, [self.shape[1], -1]), perm=[1, 0])

    def columns(self, ids: str) -> str:
        """See `Matrix.columns`."""
        g = self.graph
        return self._floats(g.add("Gather", self.values, ids), g.add("Gather", self.scale, ids), [0, 0, -1])

    @property
    def _block(self) -> int:
        return BLOCK if self.bits == 8 else NIBBLES

    def _scales(self, stored: str) -> str:
        return self.graph.add("Cast", stored, to=FLOAT)

    def _floats(self, values: str, scale: str, shape: list[int]) -> str:
        """Blocks (..., blocks, BLOCK) times their scales, joined to `shape`, without what fills the last block."""
        g = self.graph
        zero = ZERO
        if self.bits == 4:
            zero = NIBBLE_ZERO
            low = g.add("BitwiseAnd", values, g.constant(15, np.uint8))
            pair = [low, g.add("BitShift", values, g.constant(4, np.uint8), direction="RIGHT")]
            pairs = g.add("Concat", *(g.add("Unsqueeze", nibble, g.constant([-1])) for nibble in pair), axis=-1)
            unpacked = g.add("Concat", g.add("Shape", values, end=-1), g.constant([NIBBLES]), axis=0)
            values = g.add("Reshape", pairs, unpacked)
        centred = g.add("Sub", g.add("Cast", values, to=FLOAT), g.constant(zero, np.float32))
        scaled = g.add("Mul", centred, g.add("Unsqueeze", self._scales(scale), g.constant([-1])))
        joined = g.add("Reshape", scaled, g.constant(shape))
        inputs = self.shape[0]
        whole_blocks = inputs % self._block == 0
        return joined if whole_blocks else g.slice(joined, g.constant([0]), g.constant([inputs]), len(shape) - 1)


@dataclass(frozen=True)
class ColumnMatrix(Matrix):
    """Stored as signed bytes (in, out) with a scale a column (out,); multiplied as bytes.

    `largest` is the largest magnitude of the inputs; 0: that of each row.
    """

    scale: str
    largest: float

    def multiply(self, x: str, bias: str = "") -> str:
        """See `Matrix.multiply`."""
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
        """See `Matrix.floats`."""
        return self.graph.add("Mul", self.graph.add("Cast", self.values, to=FLOAT), self.scale)

    def columns(self, ids: str) -> str:
        """See `Matrix.columns`.

        Raises:
            NotImplementedError: such a matrix is never an embedding.
        """
        raise NotImplementedError


def store(
    graph: OnnxGraph, name: str, weight: Array, precision: str, many_rows: bool, ranges: Ranges | None = None
) -> Matrix:
    """Put `weight` (in, out) into `graph`; `many_rows` says that hundreds of rows are multiplied at once.

    `ranges` are needed by int8-static; a layer that is not among them is quantised by row.
    """
    if precision == "fp32":
        return Matrix(graph, precision, graph.weight(name, weight.astype(np.float32)))
    if precision == "fp16":
        return Matrix(graph, precision, graph.weight(name, weight.astype(np.float16)))
    if many_rows and precision != "int8":
        if graph.in_nibbles(name):
            stored, columns = _columns_of_nibbles(graph, name, weight)
        else:
            units, column = quantise_columns(weight)
            stored, columns = graph.weight(name, units), graph.weight(f"{name}.scale", column.astype(np.float32))
        largest = 0.0 if precision == "int8-dynamic" else (ranges or {}).get(name.split("+")[0], 0.0)
        return ColumnMatrix(graph, precision, stored, columns, largest)
    bits = 4 if graph.in_nibbles(name) else 8
    values, scale = quantise(weight) if bits == 8 else quantise_nibbles(weight)
    scales = graph.weight(f"{name}.scale", scale.astype(np.float16))
    inputs, outputs = weight.shape
    return ByteMatrix(graph, precision, graph.weight(name, values), scales, (inputs, outputs), many_rows, bits)


def _columns_of_nibbles(graph: OnnxGraph, name: str, weight: Array) -> tuple[str, str]:
    """`weight` (in, out) stored in four bits and multiplied as signed bytes, which onnxruntime makes when it loads: the
    bytes, and the scale of every column."""
    values, scale = quantise_nibbles(weight)
    scales = graph.weight(f"{name}.scale", scale.astype(np.float16))
    matrix = ByteMatrix(graph, "int8", graph.weight(name, values), scales, (weight.shape[0], weight.shape[1]), True, 4)
    _, column = quantise_columns(nibbles_to_floats(values, scale, weight.shape))
    columns = graph.weight(f"{name}.columns", column.astype(np.float32))
    return graph.add("Cast", graph.add("Round", graph.add("Div", matrix.floats(), columns)), to=SIGNED), columns


def nibbles_to_floats(values: NDArray[np.uint8], scale: NDArray[np.float32], shape: tuple[int, ...]) -> Array:
    """What `quantise_nibbles` made, as floats (in, out) again."""
    inputs, outputs = shape
    pairs = np.stack([values & 15, values >> 4], -1).reshape(outputs, -1, NIBBLES).astype(np.float32)
    blocks = (pairs - NIBBLE_ZERO) * scale[..., None]
    matrix: Array = blocks.reshape(outputs, -1)[:, :inputs].T
    return matrix


def store_sum(graph: OnnxGraph, name: str, values: Array, precision: str) -> str:
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
