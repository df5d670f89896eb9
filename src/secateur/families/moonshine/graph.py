"""Moonshine's two ONNX graphs, built from its weights: encoder with cross keys and values, decoder with cache.

The same mathematics as `families/moonshine/model.py` and the same inputs and outputs as Whisper's graphs, but for the
samples (`audio`). Pairs of dimensions that rotate together stand beside each other in the checkpoint; here all first
ones come before all second ones, in queries and keys alike, which changes no product of the two.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...export.graph import FARTHEST, ModelProto, OnnxGraph
from ...export.layers import Weights
from ...export.precision import FLOAT, Ranges, store
from ...export.token_export import TokenExporter
from ...models.frame_merging import FRAMES
from ..ctc.graph import CtcBuilder
from ..seq2seq.merge_graph import GraphMerges
from ..whisper.config import AttentionWidths
from .config import STRIDES, TAPS, GroupedAttentionWidths, MoonshineConfig

EPSILON = 1e-5


def encoder_graph(
    config: MoonshineConfig, weights: Weights, precision: str, ranges: Ranges | None = None, nibbles: Sequence[str] = ()
) -> ModelProto:
    """audio (batch, samples, 1), frames (batch,) to the cross keys and values of every decoder layer, and their mask.

    Padding is masked wherever the network would see it, so a padded row equals the same clip alone (fp32, fp16).
    """
    b = _MoonshineBuilder(OnnxGraph("encoder", nibbles), rotary_order(config, weights), precision, True, ranges)
    b.config, g = config, b.graph
    audio = g.input("audio", np.float32, ("batch", "samples", 1))
    least = g.constant([config.least])
    b.frames = g.add("Max", g.input("frames", np.int64, ("batch",)), least)
    x = b.embedded(g.add("Transpose", audio, perm=[0, 2, 1]), least)
    merges = GraphMerges(
        b,
        "encoder.merges",
        config.frame_merging,
        config.merge_similar,
        g.add("Unsqueeze", b.frames, g.constant([1])),
    )
    x, bias = merges.after(0, x), ""
    for i, widths in enumerate(config.encoder):
        name = f"encoder.layers.{i}"
        if not bias or merges.merges(i):
            bias = b.mask_bias(merges.valid(x))
            b.rotate_by(merges.positions(x))
        query, keys, values = b.projected(b.norm(x, f"{name}.attention_norm"), f"{name}.attention", widths.attention)
        attended = b.attended(query, keys, values, bias, widths.attention)
        x = g.add("Add", x, b.linear(attended, [f"{name}.attention.out"]))
        x = merges.after(i + 1, b.feed_forward(x, name))
    memory, crosses = b.norm(x, "encoder.norm"), [d.cross_attention for d in config.decoder]
    names = [f"decoder.layers.{i}.cross_attention.{p}" for i in range(len(crosses)) for p in ("key", "value")]
    heads = [a.heads for a in crosses for _ in range(2)]
    parts = b.split(b.linear(memory, names), [count * config.head_size for count in heads])
    for i, (part, count) in enumerate(zip(parts, heads, strict=True)):
        name = f"cross_{('keys', 'values')[i % 2]}_{i // 2}"
        shape = ("batch", count, "positions", config.head_size)
        g.output(b.heads(part, count, config.head_size), name, np.float32, shape)
    g.output(merges.valid(memory), "memory_mask", np.bool_, ("batch", "positions"))
    if merges.place:
        g.output(merges.place, FRAMES, np.int64, ("batch", "first positions"))
    return g.model({"precision": precision})


def decoder_graph(config: MoonshineConfig, weights: Weights, precision: str, nibbles: Sequence[str] = ()) -> ModelProto:
    """tokens (batch, n) after `past` earlier ones to logits (batch, vocabulary) of the last; `past` may be 0.

    Inputs and outputs are those of Whisper's decoder; attention has all layers' query heads.
    """
    b = _MoonshineBuilder(OnnxGraph("decoder", nibbles), rotary_order(config, weights), precision, many_rows=False)
    b.config, g, size = config, b.graph, config.head_size
    tokens = g.input("tokens", np.int64, ("batch", "n"))
    memory_mask = g.input("memory_mask", np.bool_, ("batch", "positions"))
    pasts, crosses = [], []
    for i, d in enumerate(config.decoder):
        own, cross = d.self_attention.heads, d.cross_attention.heads
        pasts.append(
            [g.input(f"past_{kind}_{i}", np.float32, ("batch", own, "past", size)) for kind in ("keys", "values")]
        )
        crosses.append(
            [
                g.input(f"cross_{kind}_{i}", np.float32, ("batch", cross, "positions", size))
                for kind in ("keys", "values")
            ]
        )
    start, length = g.size(pasts[0][0], 2), g.size(tokens, 1)
    end = g.add("Add", start, length)
    # A new token attends to all old ones, its predecessors and itself.
    query_positions = g.add("Unsqueeze", g.add("Add", g.count(length), start), g.constant([1]))
    causal = b.mask_bias(g.add("LessOrEqual", g.count(end), query_positions), axes=(0, 1))
    bias = b.mask_bias(memory_mask)
    first, after = (g.add("Squeeze", position, g.constant([0])) for position in (start, end))
    b.rotate_by(g.add("Unsqueeze", g.add("Range", first, after, g.constant(1)), g.constant([0])))
    table = weights["decoder.token_embedding.weight"].T
    embedding = store(g, "decoder.token_embedding", table, precision, many_rows=False)
    x = embedding.columns(tokens)
    outputs, attention_weights = [], []
    for i, d in enumerate(config.decoder):
        name = f"decoder.layers.{i}"
        normed = b.norm(x, f"{name}.self_attention_norm")
        query, keys, values = b.projected(normed, f"{name}.self_attention", d.self_attention)
        keys, values = g.add("Concat", pasts[i][0], keys, axis=2), g.add("Concat", pasts[i][1], values, axis=2)
        outputs.append((keys, values))
        attended = b.attended(query, keys, values, causal, d.self_attention)
        x = g.add("Add", x, b.linear(attended, [f"{name}.self_attention.out"]))
        query = b.linear(b.norm(x, f"{name}.cross_attention_norm"), [f"{name}.cross_attention.query"], size**-0.5)
        query = b.heads(query, d.cross_attention.heads * d.cross_attention.queries, size)
        attention_weights.append(b.attention_weights(query, crosses[i][0], bias, d.cross_attention))
        attended = b.attended_values(attention_weights[-1], crosses[i][1], d.cross_attention)
        x = g.add("Add", x, b.linear(attended, [f"{name}.cross_attention.out"]))
        x = b.gated(x, name, d.ffn)
    last = g.add("Squeeze", g.slice(x, g.constant([-1]), g.constant([FARTHEST]), 1), g.constant([1]))
    g.output(embedding.multiply(b.norm(last, "decoder.norm")), "logits", np.float32, ("batch", config.vocabulary))
    for i, (d, (keys, values)) in enumerate(zip(config.decoder, outputs, strict=True)):
        shape = ("batch", d.self_attention.heads, "all", size)
        g.output(keys, f"keys_{i}", np.float32, shape)
        g.output(values, f"values_{i}", np.float32, shape)
    heads = sum(d.cross_attention.heads * d.cross_attention.queries for d in config.decoder)
    g.output(g.add("Concat", *attention_weights, axis=1), "attention", np.float32, ("batch", heads, "n", "positions"))
    return g.model({"precision": precision})


def rotary_order(config: MoonshineConfig, weights: Weights) -> Weights:
    """`weights` with the dimensions that rotate in two halves, in the queries and keys of every self-attention."""
    pairs = list(range(config.rotary))
    order = [*pairs[::2], *pairs[1::2], *range(config.rotary, config.head_size)]
    ordered = dict(weights)
    for name, values in weights.items():
        if ".cross_attention." in name or not any(f"attention.{part}." in name for part in ("query", "key")):
            continue
        by_head = values.reshape(-1, config.head_size, *values.shape[1:])
        ordered[name] = by_head[:, order].reshape(values.shape)
    return ordered


class _MoonshineBuilder(CtcBuilder):
    """Adds the parts of the network. `rotate_by` makes the tables that `projected` rotates by."""

    config: MoonshineConfig
    cos = sin = ""

    def embedded(self, x: str, least: str) -> str:
        """Convolutions: samples (batch, 1, n) to (batch, positions, width); `frames` becomes positions."""
        g, config = self.graph, self.config
        missing = g.add("Max", g.add("Sub", least, g.size(x, 2)), g.constant([0]))
        x = g.add("Pad", x, g.add("Concat", g.constant([0] * 5), missing, axis=0))
        for i, (taps, stride) in enumerate(zip(TAPS, STRIDES, strict=True)):
            name = f"encoder.conv{i + 1}"
            weight = self.weights[f"{name}.weight"]
            bias = self.weights.get(f"{name}.bias", np.zeros(len(weight), np.float32))
            x = self.filters(x, name, weight, bias, strides=[stride])
            self.frames = g.add("Div", g.add("Sub", self.frames, g.constant(taps - stride)), g.constant(stride))
            x = self._channels_norm(g.add("Tanh", x), config) if i == 0 else g.add("Gelu", x)
        return g.add("Transpose", x, perm=[0, 2, 1])

    def _channels_norm(self, x: str, config: MoonshineConfig) -> str:
        """All channels and real frames of (batch, channels, frames) together; see `ChannelsNorm`."""
        g, real = self.graph, self.real(x, 2, [1])
        count = g.add("Unsqueeze", g.add("Cast", self.frames, to=FLOAT), g.constant([1, 2]))
        size = g.add("Mul", count, g.constant(config.norm_channels, np.float32))
        axes = g.constant([1, 2])
        mean = g.add("Div", g.add("ReduceSum", g.add("Mul", x, real), axes, keepdims=1), size)
        centred = g.add("Sub", x, mean)
        inside = g.add("Mul", centred, real)
        squares = g.add("ReduceSum", g.add("Mul", inside, inside), axes, keepdims=1)
        removed = config.norm_channels - config.convs[0]
        if removed:
            cut_channels = g.add("Mul", g.add("Mul", mean, mean), g.add("Mul", count, g.constant(removed, np.float32)))
            squares = g.add("Add", squares, cut_channels)
        deviation = g.add("Sqrt", g.add("Add", g.add("Div", squares, size), g.constant(EPSILON, np.float32)))
        scale, bias = (
            g.weight(f"encoder.conv1_norm.{p}", self.weights[f"encoder.conv1_norm.{p}"].astype(np.float32)[:, None])
            for p in ("weight", "bias")
        )
        return g.add("Add", g.add("Mul", g.add("Div", centred, deviation), scale), bias)

    def rotate_by(self, positions: str) -> None:
        """Make the tables of the rotations at `positions` (1 or batch, n), each (1 or batch, 1, n, rotary / 2)."""
        g, config = self.graph, self.config
        rates = config.rope_theta ** (-np.arange(0, config.rotary, 2) / max(config.rotary, 1))
        column = g.add("Unsqueeze", g.add("Cast", positions, to=FLOAT), g.constant([1, 3]))
        angles = g.add("Mul", column, g.constant(rates, np.float32))
        self.cos, self.sin = g.add("Cos", angles), g.add("Sin", angles)

    def projected(self, x: str, name: str, widths: GroupedAttentionWidths) -> list[str]:
        """Scaled queries, keys and values of `x`, each (batch, heads, length, dim); queries and keys rotated."""
        size, queries = self.config.head_size, widths.heads * widths.queries
        joined = self.linear(x, [f"{name}.{part}" for part in ("query", "key", "value")], size**-0.5)
        heads = [queries, widths.heads, widths.heads]
        parts = self.split(joined, [count * size for count in heads])
        query, key, value = (self.heads(part, count, size) for part, count in zip(parts, heads, strict=True))
        return [self._rotated(query), self._rotated(key), value]

    def _rotated(self, x: str) -> str:
        g, half = self.graph, self.config.rotary // 2
        rest = self.config.head_size - self.config.rotary
        if not half:
            return x
        first, second, *others = self.split(x, [half, half, *([rest] if rest else [])])
        first_rotated = g.add("Sub", g.add("Mul", first, self.cos), g.add("Mul", second, self.sin))
        second_rotated = g.add("Add", g.add("Mul", second, self.cos), g.add("Mul", first, self.sin))
        return g.add("Concat", first_rotated, second_rotated, *others, axis=-1)

    def attended(self, query: str, keys: str, values: str, bias: str, widths: GroupedAttentionWidths) -> str:
        """Attention of scaled queries (batch, heads, n, dim) over keys and values: (batch, n, heads * dim)."""
        return self.attended_values(self.attention_weights(query, keys, bias, widths), values, widths)

    def attention_weights(self, query: str, keys: str, bias: str, widths: GroupedAttentionWidths) -> str:
        """Attention weights: (batch, query heads, n, length)."""
        g = self.graph
        keys = g.add("Transpose", self._shared(keys, widths), perm=[0, 1, 3, 2])
        return g.add("Softmax", g.add("Add", g.add("MatMul", query, keys), bias), axis=-1)

    def attended_values(self, attention_weights: str, values: str, widths: GroupedAttentionWidths) -> str:
        """Values weighted by attention: (batch, n, query heads * dim)."""
        size = self.config.head_size
        return self.weighted(
            attention_weights, self._shared(values, widths), AttentionWidths(widths.heads * widths.queries, size, size)
        )

    def _shared(self, x: str, widths: GroupedAttentionWidths) -> str:
        """A head of keys or values for every query head."""
        if widths.queries == 1:
            return x
        index = np.repeat(np.arange(widths.heads), widths.queries)
        return self.graph.add("Gather", x, self.graph.constant(index), axis=1)

    def gated(self, x: str, name: str, units: int) -> str:
        """Norm, units and their gates, down, and the residual."""
        g = self.graph
        parts = self.split(self.linear(self.norm(x, f"{name}.ffn_norm"), [f"{name}.ffn.up"]), [units, units])
        open_gates = g.add("Mul", parts[1], g.add("Sigmoid", parts[1]))
        return g.add("Add", x, self.linear(g.add("Mul", parts[0], open_gates), [f"{name}.ffn.down"]))


EXPORTER = TokenExporter(encoder_graph, decoder_graph)
