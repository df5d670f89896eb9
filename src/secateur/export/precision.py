"""How a weight matrix is stored and multiplied: fp32, fp16, or int8 with int8 arithmetic.

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

Precision = Literal["fp32", "fp16", "int8", "int8-weights"]
PRECISIONS: tuple[str, ...] = get_args(Precision)
ZERO = 128  # the unsigned byte that means 0


def check_precision(name: str) -> None:
    """Raise a `SecateurError` unless `name` is one of `PRECISIONS`."""
    if name not in PRECISIONS:
        raise SecateurError(f"precision '{name}' is not one of {', '.join(PRECISIONS)}{nearest(name, PRECISIONS)}")


def quantise(weight: Array) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Bytes and a scale for every column: weight (in, out) = (bytes - 128) * scale, the error at most half a scale."""
    scale = np.abs(weight).max(0) / 127
    scale[scale == 0] = 1  # a pruned column is all zeros
    return (np.rint(weight / scale) + ZERO).astype(np.uint8), scale.astype(np.float32)


@dataclass(frozen=True)
class Matrix:
    """A stored weight (in, out) that can multiply from the right and whose columns can be looked up."""

    graph: Graph
    precision: str
    values: str
    scale: str = ""  # (out,), int8 only

    @classmethod
    def store(cls, graph: Graph, name: str, weight: Array, precision: str) -> Matrix:
        """Put `weight` (in, out) into `graph`."""
        if precision.startswith("int8"):
            values, scale = quantise(weight)
            return cls(graph, precision, graph.weight(name, values), graph.weight(f"{name}.scale", scale))
        kind = np.float16 if precision == "fp16" else np.float32
        return cls(graph, precision, graph.weight(name, weight.astype(kind)))

    def multiply(self, x: str, bias: str = "") -> str:
        """`x` (..., in) to (..., out), plus `bias` (out,)."""
        g = self.graph
        if self.precision == "int8":
            # Quantises x to 8 bits with one scale for the whole tensor, found at run time.
            zero = g.constant(ZERO, np.uint8)
            return g.add("DynamicQuantizeMatMul", x, self.values, self.scale, zero, bias, domain=FUSED)
        # onnxruntime turns stored weights into float32 once, when it loads: constant folding.
        product = g.add("MatMul", x, self._floats(self.values, self.scale))
        return g.add("Add", product, bias) if bias else product

    def columns(self, ids: str) -> str:
        """The columns `ids` (batch, n) as (batch, n, in), from the same bytes that `multiply` reads."""
        g = self.graph
        found = g.add("Transpose", g.add("Gather", self.values, ids, axis=1), perm=[1, 2, 0])
        scale = g.add("Unsqueeze", g.add("Gather", self.scale, ids), g.constant([-1])) if self.scale else ""
        return self._floats(found, scale)

    def _floats(self, stored: str, scale: str) -> str:
        """Stored values as float32; `scale` is shaped to fit them."""
        g = self.graph
        if self.precision == "fp32":
            return stored
        floats = g.add("Cast", stored, to=1)
        return g.add("Mul", g.add("Sub", floats, g.constant(ZERO, np.float32)), scale) if scale else floats


def table(graph: Graph, name: str, values: Array, precision: str) -> str:
    """A table that is only added (positions), as float32; anything smaller than fp32 keeps it in fp16."""
    if precision == "fp32":
        return graph.weight(name, values.astype(np.float32))
    return graph.add("Cast", graph.weight(name, values.astype(np.float16)), to=1)
