"""Whisper's two ONNX graphs, built from its weights: encoder with cross keys and values, decoder with cache.

The same mathematics as `families/whisper/model.py`, in the operators that onnxruntime runs fastest on a CPU. The names
of weights are those of the checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...export.graph import FARTHEST, ModelProto, OnnxGraph
from ...export.layers import LayerBuilder, Weights
from ...export.precision import FLOAT, Ranges, store, store_sum
from ...export.smoothing import Scaling
from ...export.token_export import TokenExporter
from ...models.frame_merging import FRAMES
from ..seq2seq.merge_graph import GraphMerges
from .config import EncoderWidths, WhisperConfig


def encoder_graph(
    config: WhisperConfig, weights: Weights, precision: str, ranges: Ranges | None = None, nibbles: Sequence[str] = ()
) -> ModelProto:
    """mel (batch, frames, mels), frames (batch,) to the cross keys and values of every decoder layer, and their mask.

    Padding is masked wherever the network would see it, so a padded row equals the same clip alone (fp32, fp16).
    """
    b = LayerBuilder(OnnxGraph("encoder", nibbles), weights, precision, True, ranges)
    g = b.graph
    mel = g.input("mel", np.float32, ("batch", "frames", config.front_end.inputs))
    frames = g.input("frames", np.int64, ("batch",))
    merges = GraphMerges(b, "encoder.merges", config.frame_merging, config.merge_similar)
    memory = encoded(b, mel, frames, "encoder", config.encoder, config.attention_scale, merges)
    names = [f"decoder.layers.{i}.cross_attention.{p}" for i in range(len(config.decoder)) for p in ("key", "value")]
    sizes = [n for d in config.decoder for n in (d.cross_attention.query_key, d.cross_attention.value)]
    heads = [d.cross_attention.heads for d in config.decoder for _ in range(2)]
    parts = b.split(b.linear(memory, names), [h * n for h, n in zip(heads, sizes, strict=True)])
    for i, (part, count, size) in enumerate(zip(parts, heads, sizes, strict=True)):
        name = f"cross_{('keys', 'values')[i % 2]}_{i // 2}"
        g.output(b.heads(part, count, size), name, np.float32, ("batch", count, "positions", size))
    g.output(merges.valid(memory), "memory_mask", np.bool_, ("batch", "positions"))
    if merges.place:
        g.output(merges.place, FRAMES, np.int64, ("batch", "first positions"))
    return g.model({"precision": precision})


def encoded(
    b: LayerBuilder, mel: str, frames: str, name: str, layers: Sequence[EncoderWidths], scale: float,
    merges: GraphMerges,
) -> str:  # fmt: skip
    """Whisper's encoder under `name`: mel (batch, frames, mels), of which `frames` (batch,) are real, to the memory
    (batch, positions, width), which `merges` counts."""
    g = b.graph
    rows = g.add("Unsqueeze", frames, g.constant([1]))
    real = g.add("Cast", g.add("Less", g.count(g.size(mel, 1)), rows), to=FLOAT)
    real = g.add("Unsqueeze", real, g.constant([2]))
    x = g.add("Gelu", b.convolution(g.add("Mul", mel, real), f"{name}.conv1", 1))
    x = g.add("Gelu", b.convolution(g.add("Mul", x, real), f"{name}.conv2", 2))
    length = g.size(x, 1)
    positions = store_sum(g, f"{name}.positions", b.weights[f"{name}.positions"], b.precision)
    x = g.add("Add", x, g.slice(positions, g.constant([0]), length, 0))
    if f"{name}.projection.weight" in b.weights:
        x = b.linear(x, [f"{name}.projection"])
    half = g.add("Div", g.add("Add", rows, g.constant(1)), g.constant(2))
    merges.real = half
    x, bias = merges.after(0, x), ""
    for i, widths in enumerate(layers):
        layer = f"{name}.layers.{i}"
        bias = bias if bias and not merges.merges(i) else b.mask_bias(merges.valid(x))
        normed = b.norm(x, f"{layer}.attention_norm")
        query, keys, values = b.project(normed, f"{layer}.attention", widths.attention, scale)
        keys, values = b.cache(keys, values, widths.attention)
        attended = b.attend(query, keys, values, bias, widths.attention)
        x = g.add("Add", x, b.linear(attended, [f"{layer}.attention.out"]))
        x = merges.after(i + 1, b.feed_forward(x, layer))
    return b.norm(x, f"{name}.norm")


def decoder_graph(config: WhisperConfig, weights: Weights, precision: str, nibbles: Sequence[str] = ()) -> ModelProto:
    """tokens (batch, n) after `past` earlier ones to logits (batch, vocabulary) of the last; `past` may be 0.

    Inputs: tokens, memory_mask, and of every layer i past_keys_i, past_values_i, cross_keys_i, cross_values_i.
    Outputs: logits, of every layer keys_i, values_i (batch, heads, past + n, dim), and attention (batch, all layers'
    heads, n, positions): the attention of each token over the audio, for word times.
    """
    b = LayerBuilder(OnnxGraph("decoder", nibbles), weights, precision, many_rows=False)
    g = b.graph
    tokens = g.input("tokens", np.int64, ("batch", "n"))
    memory_mask = g.input("memory_mask", np.bool_, ("batch", "positions"))
    pasts, crosses = [], []
    for i, d in enumerate(config.decoder):
        s, c = d.self_attention, d.cross_attention
        pasts.append(
            [
                g.input(f"past_{kind}_{i}", np.float32, ("batch", s.heads, "past", size))
                for kind, size in (("keys", s.query_key), ("values", s.value))
            ]
        )
        crosses.append(
            [
                g.input(f"cross_{kind}_{i}", np.float32, ("batch", c.heads, "positions", size))
                for kind, size in (("keys", c.query_key), ("values", c.value))
            ]
        )
    start = g.size(pasts[0][0], 2)
    length = g.size(tokens, 1)
    end = g.add("Add", start, length)
    # A new token attends to all old ones, its predecessors and itself.
    query_positions = g.add("Unsqueeze", g.add("Add", g.count(length), start), g.constant([1]))
    causal = b.mask_bias(g.add("LessOrEqual", g.count(end), query_positions), axes=(0, 1))
    bias = b.mask_bias(memory_mask)
    table = weights["decoder.token_embedding.weight"].T
    embedding = store(g, "decoder.token_embedding", table, precision, many_rows=False)
    positions = store_sum(g, "decoder.positions", weights["decoder.positions"], precision)
    rows = embedding.columns(tokens)
    factored = "decoder.token_projection.weight" in weights
    if factored:
        rows = b.linear(rows, ["decoder.token_projection"])
    x = g.add("Add", rows, g.slice(positions, start, end, 0))
    outputs, attention_weights = [], []
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
        attention_weights.append(b.attention(query, crosses[i][0], bias, d.cross_attention))
        attended = b.weighted(attention_weights[-1], crosses[i][1], d.cross_attention)
        x = g.add("Add", x, b.linear(attended, [f"{name}.cross_attention.out"]))
        x = b.feed_forward(x, name)
    last = g.add("Squeeze", g.slice(x, g.constant([-1]), g.constant([FARTHEST]), 1), g.constant([1]))
    normed = b.norm(last, "decoder.norm")
    if "decoder.token_readout.weight" in weights:
        normed = b.linear(normed, ["decoder.token_readout"])
    elif factored:
        projection = weights["decoder.token_projection.weight"]
        normed = b.product(normed, "decoder.token_projection.transposed", projection, np.zeros(projection.shape[1]))
    logits = embedding.multiply(normed)
    g.output(logits, "logits", np.float32, ("batch", config.vocabulary))
    for i, (d, (keys, values)) in enumerate(zip(config.decoder, outputs, strict=True)):
        a = d.self_attention
        g.output(keys, f"keys_{i}", np.float32, ("batch", a.heads, "all", a.query_key))
        g.output(values, f"values_{i}", np.float32, ("batch", a.heads, "all", a.value))
    heads = sum(d.cross_attention.heads for d in config.decoder)
    g.output(g.add("Concat", *attention_weights, axis=1), "attention", np.float32, ("batch", heads, "n", "positions"))
    return g.model({"precision": precision})


def scalings(config: WhisperConfig) -> list[Scaling]:
    """Those of Whisper's encoder, and the norm that cross-attention reads."""

    def reads(*names: str) -> tuple[str, ...]:
        """What of a layer reads its inputs: of a factored one the first matrix."""
        return tuple(f"{name}.reduce" if name in config.ranks else name for name in names)

    def writes(name: str) -> str:
        """What of a layer writes its outputs."""
        return f"{name}.expand" if name in config.ranks else name

    pairs = []
    for i in range(len(config.encoder)):
        name = f"encoder.layers.{i}"
        attention = f"{name}.attention"
        pairs.append(Scaling(f"{name}.attention_norm", reads(*(f"{attention}.{p}" for p in ("query", "key", "value")))))
        pairs.append(Scaling(writes(f"{attention}.value"), reads(f"{attention}.out")))
        pairs.append(Scaling(f"{name}.ffn_norm", reads(f"{name}.ffn.up")))
    crosses = [f"decoder.layers.{i}.cross_attention.{p}" for i in range(len(config.decoder)) for p in ("key", "value")]
    return [*pairs, Scaling("encoder.norm", reads(*crosses))]


EXPORTER = TokenExporter(encoder_graph, decoder_graph, scalings)
