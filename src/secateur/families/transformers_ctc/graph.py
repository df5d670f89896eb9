"""The ONNX graph of a CTC model of `transformers` on samples (Wav2Vec2, HuBERT, WavLM, Wav2Vec2 Conformer), written
straight from the weights, layer by layer: the same mathematics as `families/transformers_ctc/`.
"""

from __future__ import annotations

import numpy as np
import torch

from ...export.frame_export import FrameExporter
from ...export.graph import ModelProto, OnnxGraph
from ...export.layers import Weights
from ...export.precision import Ranges
from ..whisper.config import AttentionWidths
from .config import HfCtcConfig
from .conformer_graph import BlockBuilder
from .wavlm import buckets_of
from .widths import WAV2VEC2, BlockWidths, LayerWidths

EPSILON = 1e-5


def hf_ctc_graph(config: HfCtcConfig, weights: Weights, precision: str, ranges: Ranges | None = None) -> ModelProto:
    """features (batch, samples, 1), frames (batch,) to log_probs (batch, shorter, units) and how many are real."""
    b = _HfCtcBuilder(OnnxGraph("hf_ctc"), weights, precision, True, ranges)
    g, body = b.graph, f"net.{config.body}"
    x = g.input("features", np.float32, ("batch", "samples", 1))
    b.body = body
    b.frames = g.input("frames", np.int64, ("batch",))
    x = b.encoded(g.add("Transpose", x, perm=[0, 2, 1]), f"{body}.feature_extractor.conv_layers", config)
    x = g.add("Transpose", x, perm=[0, 2, 1])
    if config.projection_norm:
        x = b.norm(x, f"{body}.feature_projection.layer_norm")
    x = b.linear(x, [f"{body}.feature_projection.projection"])
    x = g.add("Mul", x, b.real(x, 1, [2]))
    if config.conformer:
        b.names, b.width, b.size, b.activation = WAV2VEC2, config.width, config.head_size, config.activation
    else:
        x = g.add("Add", x, b.positions(x, f"{body}.encoder.pos_conv_embed.conv", config))
        if not config.before:
            x = b.norm(x, f"{body}.encoder.layer_norm")
    b.set_merges(config)
    x = b.before(x)
    for i, widths in enumerate(config.layers):
        name = f"{body}.encoder.layers.{i}"
        if i == 0 or b.merges.merges(i):
            b.mask_padding(x)
            if config.distance == "rotary":
                b.rotary = b.rotations(x, weights[f"{body}.encoder.embed_positions.inv_freq"])
            b.distance = b.distances(x) if config.distance == "relative" else ""
        if isinstance(widths, BlockWidths):
            x = b.block(x, name, widths)
        else:
            x = b.layer(x, name, config, widths, b.padding_bias)
        x = b.after(x)
    if config.before or config.conformer:
        x = b.norm(x, f"{body}.encoder.layer_norm")
    log_probs = b.outputs(g.add("LogSoftmax", b.linear(x, ["net.lm_head"]), axis=-1))
    g.output(log_probs, "log_probs", np.float32, ("batch", "shorter", config.units))
    g.output(b.frames, "log_probs_frames", np.int64, ("batch",))
    return g.model({"precision": precision})


class _HfCtcBuilder(BlockBuilder):
    """Adds the parts of the network; `frames` (batch,) says how many frames of the last one's output are real."""

    body = ""

    def encoded(self, x: str, name: str, config: HfCtcConfig) -> str:
        """The feature encoder: (batch, 1, samples) to (batch, channels, shorter)."""
        g = self.graph
        for i, (kernel, stride) in enumerate(zip(config.kernels, config.strides, strict=True)):
            conv = f"{name}.{i}"
            weight = self.weights[f"{conv}.conv.weight"]
            bias = self.weights.get(f"{conv}.conv.bias", np.zeros(len(weight), np.float32))
            x = self.filters(x, f"{conv}.conv", weight, bias, strides=[stride])
            left = g.add("Add", self.frames, g.constant(stride - kernel))
            self.frames = g.add("Div", g.add("Max", left, g.constant(0)), g.constant(stride))
            if not config.group_norm:
                x = g.add("Transpose", x, perm=[0, 2, 1])
                x = g.add("Transpose", self.norm(x, f"{conv}.layer_norm"), perm=[0, 2, 1])
            elif i == 0:
                x = self._by_channel(x, f"{conv}.layer_norm")
            x = g.add("Gelu", x)
        return x

    def _by_channel(self, x: str, name: str) -> str:
        """Normalise each channel of (batch, channels, frames) over its valid frames."""
        g, real = self.graph, self.real(x, 2, [1])
        count = g.add("Cast", g.add("Max", self.frames, g.constant(1)), to=1)  # float
        count = g.add("Unsqueeze", count, g.constant([1, 2]))
        mean = g.add("Div", g.add("ReduceSum", g.add("Mul", x, real), g.constant([2]), keepdims=1), count)
        centred = g.add("Sub", x, mean)
        inside = g.add("Mul", centred, real)
        variance = g.add("Div", g.add("ReduceSum", g.add("Mul", inside, inside), g.constant([2]), keepdims=1), count)
        deviation = g.add("Sqrt", g.add("Add", variance, g.constant(EPSILON, np.float32)))
        scale, bias = (
            g.weight(f"{name}.{leaf}", self.weights[f"{name}.{leaf}"].astype(np.float32)[:, None])
            for leaf in ("weight", "bias")
        )
        return g.add("Add", g.add("Mul", g.add("Div", centred, deviation), scale), bias)

    def positions(self, x: str, name: str, config: HfCtcConfig) -> str:
        """The position convolution of (batch, frames, width)."""
        g, (taps, groups), kept = self.graph, config.position_taps, config.kept_position_groups
        weight, size = self.weights[f"{name}.weight"], config.width // groups
        channels = [group * size + i for group in kept for i in range(size)]
        pads = [taps // 2, taps // 2 - (taps % 2 == 0)]
        x = g.add("Transpose", x, perm=[0, 2, 1])
        if config.positions:
            x = g.add("Gather", x, g.constant(channels), axis=1)
        x = self.filters(x, name, weight, self.weights[f"{name}.bias"], pads=pads, group=len(kept))
        x = g.add("Gelu", x)
        if config.positions:  # one zero channel stands for all removed ones
            zero_channel = g.add("Mul", g.slice(x, g.constant([0]), g.constant([1]), 1), g.constant(0, np.float32))
            order = [channels.index(c) if c in channels else len(channels) for c in range(config.width)]
            x = g.add("Gather", g.add("Concat", x, zero_channel, axis=1), g.constant(order), axis=1)
        return g.add("Transpose", x, perm=[0, 2, 1])

    def layer(self, x: str, name: str, config: HfCtcConfig, layer: LayerWidths, padding_bias: str) -> str:
        """One encoder layer, normalised before or after each of its halves."""
        g, self.activation = self.graph, config.activation
        widths = AttentionWidths(layer.heads, config.head_size, config.head_size)
        inputs = self.norm(x, f"{name}.layer_norm") if config.before else x
        parts = [f"{name}.attention.{part}_proj" for part in "qkv"]
        joined = self.linear(inputs, parts, config.head_size**-0.5)
        query, keys, values = self.split(joined, [layer.heads * config.head_size] * 3)
        keys, values = self.cache(keys, values, widths)
        if config.kind == "wavlm":
            padding_bias = g.add("Add", self._gated(inputs, f"{name}.attention", config, layer), padding_bias)
        attended = self.attend(query, keys, values, padding_bias, widths)
        x = g.add("Add", x, self.linear(attended, [f"{name}.attention.out_proj"]))
        if not config.before:
            x = self.norm(x, f"{name}.layer_norm")
        inputs = self.norm(x, f"{name}.final_layer_norm") if config.before else x
        hidden = self.active(self.linear(inputs, [f"{name}.feed_forward.intermediate_dense"]))
        x = g.add("Add", x, self.linear(hidden, [f"{name}.feed_forward.output_dense"]))
        return x if config.before else self.norm(x, f"{name}.final_layer_norm")

    def _gated(self, x: str, name: str, config: HfCtcConfig, layer: LayerWidths) -> str:
        """WavLM's distances (batch, heads, frames, frames), gated by slices of `x` (batch, frames, width)."""
        g, (buckets, farthest) = self.graph, config.distances
        kept = list(layer.kept or range(layer.heads))
        rows = buckets_of(torch.arange(-farthest, farthest + 1), buckets, farthest).numpy()
        table = self.weights[f"{self.body}.encoder.positions.weight"][rows].T[kept]  # (heads, distances)
        at = self.merges.positions(x)
        distance_columns = g.add(
            "Sub", g.add("Unsqueeze", at, g.constant([1])), g.add("Unsqueeze", at, g.constant([2]))
        )
        distance_columns = g.add("Clip", distance_columns, g.constant(-farthest), g.constant(farthest))
        distance_columns = g.add("Add", distance_columns, g.constant(farthest))
        bias = g.add("Gather", g.weight(f"{name}.distances", table.astype(np.float32)), distance_columns, axis=1)
        bias = g.add("Transpose", bias, perm=[1, 0, 2, 3])
        slices = g.add("Reshape", x, g.constant([0, 0, config.all_heads, config.head_size]))
        slices = g.add("Transpose", g.add("Gather", slices, g.constant(kept), axis=2), perm=[0, 2, 1, 3])
        # Each gate is the sum of its values, so their weights are summed.
        weight = self.weights[f"{name}.gru_rel_pos_linear.weight"].reshape(2, -1, config.head_size).sum(1).T
        shift = self.weights[f"{name}.gru_rel_pos_linear.bias"].reshape(2, -1).sum(1)
        gates = g.add("MatMul", slices, g.weight(f"{name}.gates", weight.astype(np.float32)))
        gates = g.add("Sigmoid", g.add("Add", gates, g.weight(f"{name}.gates.bias", shift.astype(np.float32))))
        first, second = g.add_many(2, "Split", gates, g.constant([1, 1]), axis=-1)
        constant = g.weight(f"{name}.gru_rel_pos_const", self.weights[f"{name}.gru_rel_pos_const"].astype(np.float32))
        gate = g.add("Sub", g.add("Mul", second, constant), g.constant(1, np.float32))
        gate = g.add("Add", g.add("Mul", first, gate), g.constant(2, np.float32))
        return g.add("Mul", gate, bias)


EXPORTER = FrameExporter(hf_ctc_graph)
