"""How a weight matrix is stored and multiplied: fp32, fp16, or int8.

Measured on an AVX2 CPU without VNNI, one thread: signed 8-bit weights saturate there (`vpmaddubsw`), unsigned ones with
zero point 128 are exact and nearly as fast; see benchmarks/runtime.py for the numbers of a whole model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ..base.errors import SecateurError, nearest
from .graph import FUSED, Array, Graph

Precision = Literal["fp32", "fp16", "int8"]
PRECISIONS: tuple[str, ...] = get_args(Precision)
ZERO = 128  # the unsigned byte that means 0
BLOCK = 64  # inputs that share a scale where int8 is only storage
FLOAT = 1  # ONNX's number for float32


def check_precision(name: str) -> None:
    """Raise a `SecateurError` unless `name` is one of `PRECISIONS`."""
    if name not in PRECISIONS:
        raise SecateurError(f"precision '{name}' is not one of {', '.join(PRECISIONS)}{nearest(name, PRECISIONS)}")


def quantise(weight: Array, block: int | None = None) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """`weight` (in, out) as bytes, its inputs filled up to whole blocks, and scales (blocks, out).

    (bytes - 128) * scale is off by half a scale at most. Every column has a scale of its own for each `block`
    consecutive inputs; None: one for all of them.
    """
    inputs, outputs = weight.shape
    block = block or inputs
    blocks = np.pad(weight, ((0, -inputs % block), (0, 0))).reshape(-1, block, outputs)
    scale = np.abs(blocks).max(1) / 127
    scale[scale == 0] = 1  # a pruned column is all zeros
    values = np.rint(blocks / scale[:, None]) + ZERO
    return values.reshape(-1, outputs).astype(np.uint8), scale.astype(np.float32)


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
class BlockMatrix(Matrix):
    """Stored as bytes with a scale for every `BLOCK` inputs of a column, multiplied as float32."""

    scale: str
    shape: tuple[int, int]

    def floats(self) -> str:
        """The weight as float32, computed once at load."""
        g = self.graph
        zero = g.constant(ZERO, np.float32)
        blocks = g.add("Reshape", self.values, g.constant([-1, BLOCK, self.shape[1]]))
        scaled = g.add("Mul", g.add("Sub", g.add("Cast", blocks, to=FLOAT), zero), g.add("Cast", self.scale, to=FLOAT))
        flat = g.add("Reshape", scaled, g.constant([-1, self.shape[1]]))
        return g.slice(flat, g.constant([0]), g.constant([self.shape[0]]), 0)


@dataclass(frozen=True)
class ByteMatrix(Matrix):
    """Stored as bytes with a scale a column, and multiplied as bytes."""

    scale: str

    def multiply(self, x: str, bias: str = "") -> str:
        """As above; `x` is quantised to 8 bits at run time, with one scale for the whole tensor."""
        zero = self.graph.constant(ZERO, np.uint8)
        return self.graph.add("DynamicQuantizeMatMul", x, self.values, self.scale, zero, bias, domain=FUSED)

    def columns(self, ids: str) -> str:
        """As above."""
        g = self.graph
        values = g.add("Sub", super().columns(ids), g.constant(ZERO, np.float32))
        return g.add("Mul", values, g.add("Unsqueeze", g.add("Gather", self.scale, ids), g.constant([-1])))


def store(graph: Graph, name: str, weight: Array, precision: str, many_rows: bool) -> Matrix:
    """Put `weight` (in, out) into `graph`.

    `many_rows` says that hundreds of rows are multiplied at once (the encoder): int8 then only means storage. Bytes
    would be faster by a quarter, but one 8-bit scale for all frames of a batch costs more accuracy than the weights.
    """
    if precision == "fp32":
        return Matrix(graph, precision, graph.weight(name, weight.astype(np.float32)))
    if precision == "fp16":
        return Matrix(graph, precision, graph.weight(name, weight.astype(np.float16)))
    if many_rows:
        values, scale = quantise(weight, BLOCK)
        scales = graph.weight(f"{name}.scale", scale[:, None].astype(np.float16))
        return BlockMatrix(graph, precision, graph.weight(name, values), scales, (weight.shape[0], weight.shape[1]))
    values, scale = quantise(weight)
    return ByteMatrix(graph, precision, graph.weight(name, values), graph.weight(f"{name}.scale", scale[0]))


def store_sum(graph: Graph, name: str, values: Array, precision: str) -> str:
    """A table that is only added (positions), as float32; anything smaller than fp32 keeps it in fp16."""
    if precision == "fp32":
        return graph.weight(name, values.astype(np.float32))
    return graph.add("Cast", graph.weight(name, values.astype(np.float16)), to=FLOAT)
