"""Whisper's two graphs, written straight from the weights: encoder with cross keys and values, decoder with cache.

The same mathematics as `models/whisper/model.py`, in the operators that onnxruntime runs fastest on a CPU. The names
of weights are those of the checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..models.whisper.config import AttentionWidths, WhisperConfig
from .graph import FARTHEST, Array, Graph
from .precision import FLOAT, store, store_sum

NOWHERE = -1e9  # added to the score of a position that attention may not look at

Weights = Mapping[str, Array]


def encoder_graph(config: WhisperConfig, weights: Weights, precision: str) -> Any:
    """mel (batch, frames, mels), frames (batch,) to the cross keys and values of every decoder layer, and their mask.

    Padding is masked wherever the network would see it, so a padded row equals the same clip alone (fp32, fp16).
    """
    b = _Builder(Graph("encoder"), weights, precision, many_rows=True)
    g = b.graph
    mel = g.input("mel", np.float32, ("batch", "frames", config.front_end.inputs))
    frames = g.input("frames", np.int64, ("batch",))
    rows = g.add("Unsqueeze", frames, g.constant([1]))
    real = g.add("Cast", g.add("Less", g.count(g.size(mel, 1)), rows), to=FLOAT)
    real = g.add("Unsqueeze", real, g.constant([2]))
    x = g.add("Gelu", b.convolution(g.add("Mul", mel, real), "encoder.conv1", 1))
    x = g.add("Gelu", b.convolution(g.add("Mul", x, real), "encoder.conv2", 2))
    length = g.size(x, 1)
    positions = store_sum(g, "encoder.positions", weights["encoder.positions"], precision)
    x = g.add("Add", x, g.slice(positions, g.constant([0]), length, 0))
    half = g.add("Div", g.add("Add", rows, g.constant(1)), g.constant(2))
    valid = g.add("Less", g.count(length), half)
    bias = b.mask_bias(valid)
    for i, widths in enumerate(config.encoder):
        name = f"encoder.layers.{i}"
        normed = b.norm(x, f"{name}.attention_norm")
        query, keys, values = b.project(normed, f"{name}.attention", widths.attention, config.attention_scale)
        keys, values = b.cache(keys, values, widths.attention)
        attended = b.attend(query, keys, values, bias, widths.attention)
        x = g.add("Add", x, b.linear(attended, [f"{name}.attention.out"]))
        x = b.feed_forward(x, name)
    memory = b.norm(x, "encoder.norm")
    names = [f"decoder.layers.{i}.cross_attention.{p}" for i in range(len(config.decoder)) for p in ("key", "value")]
    sizes = [n for d in config.decoder for n in (d.cross_attention.query_key, d.cross_attention.value)]
    heads = [d.cross_attention.heads for d in config.decoder for _ in range(2)]
    parts = b.split(b.linear(memory, names), [h * n for h, n in zip(heads, sizes, strict=True)])
    for i, (part, count, size) in enumerate(zip(parts, heads, sizes, strict=True)):
        name = f"cross_{('keys', 'values')[i % 2]}_{i // 2}"
        g.output(b.heads(part, count, size), name, np.float32, ("batch", count, "positions", size))
    g.output(valid, "memory_mask", np.bool_, ("batch", "positions"))
    return g.model({"precision": precision})


def decoder_graph(config: WhisperConfig, weights: Weights, precision: str) -> Any:
    """tokens (batch, n) after `past` earlier ones to logits (batch, vocabulary) of the last; `past` may be 0.

    Inputs: tokens, memory_mask, and of every layer i past_keys_i, past_values_i, cross_keys_i, cross_values_i.
    Outputs: logits, and of every layer keys_i, values_i (batch, heads, past + n, dim).
    """
    b = _Builder(Graph("decoder"), weights, precision, many_rows=False)
    g = b.graph
    tokens = g.input("tokens", np.int64, ("batch", "n"))
    memory_mask = g.input("memory_mask", np.bool_, ("batch", "positions"))
    pasts, crosses = [], []
    for i, d in enumerate(config.decoder):
        s, c = d.self_attention, d.cross_attention
        pasts.append([
            g.input(f"past_{kind}_{i}", np.float32, ("batch", s.heads, "past", size))
            for kind, size in (("keys", s.query_key), ("values", s.value))
        ])  # fmt: skip
        crosses.append([
            g.input(f"cross_{kind}_{i}", np.float32, ("batch", c.heads, "positions", size))
            for kind, size in (("keys", c.query_key), ("values", c.value))
        ])  # fmt: skip
    start = g.size(pasts[0][0], 2)
    length = g.size(tokens, 1)
    end = g.add("Add", start, length)
    # A new token sees all old ones, its predecessors and itself.
    own = g.add("Unsqueeze", g.add("Add", g.count(length), start), g.constant([1]))
    causal = b.mask_bias(g.add("LessOrEqual", g.count(end), own), axes=(0, 1))
    bias = b.mask_bias(memory_mask)
    table = weights["decoder.token_embedding.weight"].T
    embedding = store(g, "decoder.token_embedding", table, precision, many_rows=False)
    positions = store_sum(g, "decoder.positions", weights["decoder.positions"], precision)
    x = g.add("Add", embedding.columns(tokens), g.slice(positions, start, end, 0))
    outputs = []
    for i, d in enumerate(config.decoder):
        name = f"decoder.layers.{i}"
        normed = b.norm(x, f"{name}.self_attention_norm")
        query, keys, values = b.project(normed, f"{name}.self_attention", d.self_attention, config.attention_scale)
        keys, values = b.cache(keys, values, d.self_attention)
        keys, values = g.add("Concat", pasts[i][0], keys, axis=2), g.add("Concat", pasts[i][1], values, axis=2)
        outputs.append((keys, values))
        attended = b.attend(query, keys, values, causal, d.self_attention)
        x = g.add("Add", x, b.linear(attended, [f"{name}.self_attention.out"]))
        normed = b.norm(x, f"{name}.cross_attention_norm")
        query = b.linear(normed, [f"{name}.cross_attention.query"], config.attention_scale)
        attended = b.attend(query, crosses[i][0], crosses[i][1], bias, d.cross_attention)
        x = g.add("Add", x, b.linear(attended, [f"{name}.cross_attention.out"]))
        x = b.feed_forward(x, name)
    last = g.add("Squeeze", g.slice(x, g.constant([-1]), g.constant([FARTHEST]), 1), g.constant([1]))
    logits = embedding.multiply(b.norm(last, "decoder.norm"))
    g.output(logits, "logits", np.float32, ("batch", config.vocabulary))
    for i, (d, (keys, values)) in enumerate(zip(config.decoder, outputs, strict=True)):
        a = d.self_attention
        g.output(keys, f"keys_{i}", np.float32, ("batch", a.heads, "all", a.query_key))
        g.output(values, f"values_{i}", np.float32, ("batch", a.heads, "all", a.value))
    return g.model({"precision": precision})


class _Builder:
    """The layers that both graphs are made of, with the weights they need."""

    def __init__(self, graph: Graph, weights: Weights, precision: str, many_rows: bool) -> None:
        self.graph, self.weights, self.precision, self.many_rows = graph, weights, precision, many_rows

    def linear(self, x: str, names: Sequence[str], scale: float = 1.0) -> str:
        """One product for the layers `names`, side by side; the first is multiplied by `scale`."""
        weights = [self.weights[f"{name}.weight"].T for name in names]
        biases = [self.weights.get(f"{n}.bias", np.zeros(w.shape[1])) for n, w in zip(names, weights, strict=True)]
        weights[0], biases[0] = weights[0] * scale, biases[0] * scale
        return self.product(x, "+".join(names), np.concatenate(weights, 1), np.concatenate(biases))

    def product(self, x: str, name: str, weight: Array, bias: Array) -> str:
        """`x` (..., in) times weight (in, out) plus bias (out,)."""
        matrix = store(self.graph, name, weight, self.precision, self.many_rows)
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
        bias = self.graph.weight(f"{name}.bias", self.weights[f"{name}.bias"].astype(np.float32))
        return self.graph.add("LayerNormalization", x, scale, bias, axis=-1, epsilon=1e-5)

    def feed_forward(self, x: str, name: str) -> str:
        """Norm, up, GELU, down, and the residual."""
        hidden = self.graph.add("Gelu", self.linear(self.norm(x, f"{name}.ffn_norm"), [f"{name}.ffn.up"]))
        return self.graph.add("Add", x, self.linear(hidden, [f"{name}.ffn.down"]))

    def mask_bias(self, mask: str, axes: tuple[int, ...] = (1, 2)) -> str:
        """What to add to scores where `mask` is False, with axes of length 1 put in to reach four."""
        g = self.graph
        bias = g.add("Where", mask, g.constant(0, np.float32), g.constant(NOWHERE, np.float32))
        return g.add("Unsqueeze", bias, g.constant(list(axes)))

    def project(self, x: str, name: str, widths: AttentionWidths, scale: float) -> list[str]:
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

    def cache(self, keys: str, values: str, widths: AttentionWidths) -> tuple[str, str]:
        """Keys and values split into heads."""
        return self.heads(keys, widths.heads, widths.query_key), self.heads(values, widths.heads, widths.value)

    def attend(self, query: str, keys: str, values: str, bias: str, widths: AttentionWidths) -> str:
        """Attention of scaled queries (batch, n, heads * dim) to keys and values (batch, heads, length, dim).

        onnxruntime's fused MultiHeadAttention was no faster, and it refuses a cache whose values have other dimensions.
        """
        g = self.graph
        query = self.heads(query, widths.heads, widths.query_key)
        scores = g.add("Add", g.add("MatMul", query, g.add("Transpose", keys, perm=[0, 1, 3, 2])), bias)
        attended = g.add("MatMul", g.add("Softmax", scores, axis=-1), values)
        attended = g.add("Transpose", attended, perm=[0, 2, 1, 3])
        return g.add("Reshape", attended, g.constant([0, 0, widths.heads * widths.value]))
