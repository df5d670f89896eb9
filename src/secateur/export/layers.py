"""The layers of exported graphs, each a few ONNX operators that onnxruntime runs fast on a CPU."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
from torch import Tensor

from ..models.network import Network
from .graph import FARTHEST, Array, OnnxGraph
from .precision import Ranges, store


class FloatWeights(Mapping[str, Array]):
    """The weights of a network by name as float32, each converted when it is asked for."""

    def __init__(self, model: Network) -> None:
        self._state: dict[str, Tensor] = dict(model.state_dict())

    def __getitem__(self, name: str) -> Array:
        values: Array = self._state[name].detach().float().cpu().numpy()
        return values

    def __iter__(self) -> Iterator[str]:
        return iter(self._state)

    def count(self) -> int:
        """How many numbers there are in all of them."""
        return sum(value.numel() for value in self._state.values())

    def __len__(self) -> int:
        return len(self._state)


LARGE = 200_000_000  # weights of a model whose int8 encoder multiplies bytes, as its decoder does
MASK_BIAS = -1e9  # added to the attention scores of masked positions

Weights = Mapping[str, Array]


def values_in(weights: Weights) -> int:
    """How many numbers there are in all weights."""
    return weights.count() if isinstance(weights, FloatWeights) else sum(value.size for value in weights.values())


class HeadSizes(Protocol):
    """Heads of one attention, and per head the dimensions of queries and keys and those of values."""

    @property
    def heads(self) -> int: ...
    @property
    def query_key(self) -> int: ...
    @property
    def value(self) -> int: ...


class LayerBuilder:
    """Adds layers to `graph`, with their `weights` by the names that the checkpoint has for them."""

    def __init__(
        self, graph: OnnxGraph, weights: Weights, precision: str, many_rows: bool, ranges: Ranges | None = None
    ) -> None:
        self.graph, self.weights, self.precision, self.ranges = graph, weights, precision, ranges
        # Bytes that are multiplied as float32 become that when the graph is loaded, for a moment several times over.
        self.many_rows = many_rows and (precision != "int8" or values_in(weights) <= LARGE)

    def linear(self, x: str, names: Sequence[str], scale: float = 1.0) -> str:
        """One product for the layers `names`, side by side; the first is multiplied by `scale`.

        A factored layer (`models.low_rank`) is two products; the first ones of several are made together.
        """
        if any(f"{name}.expand.weight" in self.weights for name in names):
            return self._factored(x, names, scale)
        weights = [self.weights[f"{name}.weight"].T for name in names]
        biases = [self.weights.get(f"{n}.bias", np.zeros(w.shape[1])) for n, w in zip(names, weights, strict=True)]
        weights[0], biases[0] = weights[0] * scale, biases[0] * scale
        return self.product(x, "+".join(names), np.concatenate(weights, 1), np.concatenate(biases))

    def _factored(self, x: str, names: Sequence[str], scale: float) -> str:
        """`linear` where some of the layers are factored."""
        first = [n if f"{n}.weight" in self.weights else f"{n}.reduce" for n in names]
        weights = [self.weights[f"{name}.weight"].T for name in first]
        biases = [self.weights.get(f"{n}.bias", np.zeros(w.shape[1])) for n, w in zip(first, weights, strict=True)]
        weights[0], biases[0] = weights[0] * scale, biases[0] * scale
        together = self.product(x, "+".join(first), np.concatenate(weights, 1), np.concatenate(biases))
        sizes = [weight.shape[1] for weight in weights]
        parts = self.split(together, sizes) if len(names) > 1 else [together]
        for i, name in enumerate(names):
            if first[i] != name:
                expand = self.weights[f"{name}.expand.weight"].T
                bias = self.weights.get(f"{name}.expand.bias", np.zeros(expand.shape[1]))
                parts[i] = self.product(parts[i], f"{name}.expand", expand, bias * (scale if i == 0 else 1.0))
        return self.graph.add("Concat", *parts, axis=-1) if len(parts) > 1 else parts[0]

    def product(self, x: str, name: str, weight: Array, bias: Array) -> str:
        """`x` (..., in) times weight (in, out) plus bias (out,)."""
        matrix = store(self.graph, name, weight, self.precision, self.many_rows, self.ranges)
        return matrix.multiply(x, self.graph.weight(f"{name}.bias", bias.astype(np.float32)))

    def convolution(self, x: str, name: str, stride: int) -> str:
        """Three taps over (batch, frames, channels), as one product of three shifted copies side by side."""
        g = self.graph
        padded = g.add("Pad", x, g.constant([0, 1, 0, 0, 1, 0]))
        ends = ([-2], [-1], [FARTHEST])
        taps = [g.slice(padded, g.constant([k]), g.constant(end), 1, stride) for k, end in enumerate(ends)]
        weight = self.weights[f"{name}.weight"].transpose(2, 1, 0)  # (taps, in, out)
        flat = weight.reshape(-1, weight.shape[2])
        return self.product(g.add("Concat", *taps, axis=2), name, flat, self.weights[f"{name}.bias"])

    def norm(self, x: str, name: str) -> str:
        """Layer normalisation over the last axis."""
        scale = self.graph.weight(f"{name}.weight", self.weights[f"{name}.weight"].astype(np.float32))
        values = self.weights.get(f"{name}.bias")
        biases = [] if values is None else [self.graph.weight(f"{name}.bias", values.astype(np.float32))]
        return self.graph.add("LayerNormalization", x, scale, *biases, axis=-1, epsilon=1e-5)

    def feed_forward(self, x: str, name: str) -> str:
        """Norm, up, GELU, down, and the residual."""
        hidden = self.graph.add("Gelu", self.linear(self.norm(x, f"{name}.ffn_norm"), [f"{name}.ffn.up"]))
        return self.graph.add("Add", x, self.linear(hidden, [f"{name}.ffn.down"]))

    def mask_bias(self, mask: str, axes: tuple[int, ...] = (1, 2)) -> str:
        """The additive mask bias: MASK_BIAS where `mask` is False, else 0, with `axes` of length 1 inserted."""
        g = self.graph
        bias = g.add("Where", mask, g.constant(0, np.float32), g.constant(MASK_BIAS, np.float32))
        return g.add("Unsqueeze", bias, g.constant(list(axes)))

    def project(self, x: str, name: str, widths: HeadSizes, scale: float) -> list[str]:
        """Queries (scaled), keys and values of `x`, each (batch, length, heads * dim)."""
        sizes = [widths.heads * n for n in (widths.query_key, widths.query_key, widths.value)]
        return self.split(self.linear(x, [f"{name}.{part}" for part in ("query", "key", "value")], scale), sizes)

    def split(self, x: str, sizes: Sequence[int]) -> list[str]:
        """Parts of the last axis."""
        return self.graph.add_many(len(sizes), "Split", x, self.graph.constant(list(sizes)), axis=-1)

    def heads(self, x: str, count: int, size: int) -> str:
        """(batch, length, count * size) to (batch, count, length, size)."""
        g = self.graph
        return g.add("Transpose", g.add("Reshape", x, g.constant([0, 0, count, size])), perm=[0, 2, 1, 3])

    def cache(self, keys: str, values: str, widths: HeadSizes) -> tuple[str, str]:
        """Keys and values split into heads."""
        return self.heads(keys, widths.heads, widths.query_key), self.heads(values, widths.heads, widths.value)

    def attend(self, query: str, keys: str, values: str, bias: str, widths: HeadSizes) -> str:
        """Attention of scaled queries (batch, n, heads * dim) to keys and values (batch, heads, length, dim).

        onnxruntime's fused MultiHeadAttention was no faster, and it refuses a cache whose values have other dimensions.
        """
        return self.weighted(self.attention(query, keys, bias, widths), values, widths)

    def attention(self, query: str, keys: str, bias: str, widths: HeadSizes) -> str:
        """Attention weights of scaled queries (batch, n, heads * dim) over keys: (batch, heads, n, length)."""
        g = self.graph
        query = self.heads(query, widths.heads, widths.query_key)
        scores = g.add("Add", g.add("MatMul", query, g.add("Transpose", keys, perm=[0, 1, 3, 2])), bias)
        return g.add("Softmax", scores, axis=-1)

    def weighted(self, attention: str, values: str, widths: HeadSizes) -> str:
        """Values weighted by `attention`: (batch, n, heads * dim)."""
        g = self.graph
        attended = g.add("Transpose", g.add("MatMul", attention, values), perm=[0, 2, 1, 3])
        return g.add("Reshape", attended, g.constant([0, 0, widths.heads * widths.value]))
