"""The ONNX graph of a CTC model, built from its weights, in operators that onnxruntime runs fast on a CPU.

The same mathematics as `families/ctc/`, with every BatchNorm folded into the convolution before it. The names of
weights are those of the checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...export.graph import Array, ModelProto, OnnxGraph
from ...export.layers import LayerBuilder, Weights
from ...export.precision import FLOAT, Ranges, store, store_sum
from ...models.frame_merging import MergingConfig
from ..seq2seq.merge_graph import GraphMerges
from ..whisper.graph import encoded
from .config import (
    TAPS,
    ConformerBlockWidths,
    ConformerWidths,
    CtcConfig,
    InceptionWidths,
    RecurrentWidths,
    Streaming,
    SubsamplingWidths,
    TrunkWidths,
    edges,
)

EPSILON = 1e-5  # of every norm
# Which of torch's gates stand where in ONNX: reset, update, new as update, reset, new; input, forget, cell, output as
# input, output, forget, cell.
GATES = {"gru": (1, 0, 2), "lstm": (0, 3, 1, 2)}


def ctc_graph(
    config: CtcConfig, weights: Weights, precision: str, ranges: Ranges | None = None, audio: bool = False
) -> ModelProto:
    """features (batch, frames, inputs), frames (batch,) to log_probs (batch, shorter, units) and how many are real.

    Padding is zero wherever the network would see it, so a padded row equals the same clip alone. With `audio` the
    graph computes its features itself: it takes samples (batch, n), all real, and gives log_probs alone.
    """
    b = CtcBuilder(OnnxGraph("ctc"), weights, precision, True, ranges)
    b.streaming = config.streaming
    g = b.graph
    if audio:
        x = config.front_end.definition.graph(g, g.input("samples", np.float32, ("batch", "n")), config.front_end)
        b.frames = g.add("Expand", g.size(x, 1), g.size(x, 0))
    else:
        x = g.input("features", np.float32, ("batch", "frames", config.front_end.inputs))
        b.frames = g.input("frames", np.int64, ("batch",))
    g.output(b.network(x, config), "log_probs", np.float32, ("batch", "shorter", config.units))
    if not audio:
        g.output(b.frames, "log_probs_frames", np.int64, ("batch",))
    return g.model({"precision": precision})


# Where an array has batch, frames and width.
BY_FRAME, BY_CHANNEL, BY_TIME = (0, 1, 2), (0, 2, 1), (1, 0, 2)


class CtcBuilder(LayerBuilder):
    """Adds the sections of a CTC model; `frames` (batch,) says how many frames of the last one's output are real."""

    frames = ""
    streaming: Streaming | None = None
    merges: GraphMerges
    layers = -1  # that have run; -1: the first has not been reached
    merged = 1  # frames that all merges make one of, where all are alike
    unmerged = ""  # real frames (batch,) before anything was merged

    def set_merges(self, config: MergingConfig) -> None:
        """Merge frames where `config` says; `before` and `after` do it."""
        self.merges = GraphMerges(self, "merges", config.frame_merging, config.merge_similar)
        self.merged = config.regular_merge

    @property
    def left(self) -> int:
        """How many frames of the next layer are one of the output."""
        return self.merged // self.merges.stride

    def before(self, x: str, axes: Sequence[int] = BY_FRAME) -> str:
        """`x`, which the first layer of a section reads, merged; `axes` are where it has batch, frames and width."""
        return self.after(x, axes) if self.layers < 0 else x

    def after(self, x: str, axes: Sequence[int] = BY_FRAME) -> str:
        """`x`, which one more layer gave, merged (see `before`); `frames` become those that are left."""
        self.layers += 1
        if not self.merges.merges(self.layers):
            return x
        g, axis = self.graph, self.graph.constant([1])
        x = x if axes == BY_FRAME else g.add("Transpose", x, perm=list(axes))
        self.unmerged = self.unmerged or self.frames
        self.merges.real = g.add("Unsqueeze", self.frames or g.size(x, 1), axis)  # in a chunk all are real
        x = self.merges.after(self.layers, x)
        self.frames = self.frames and g.add("Squeeze", self.merges.real, axis)
        x = self.zero_padding(x, 1, [2])
        return x if axes == BY_FRAME else g.add("Transpose", x, perm=list(axes))

    def outputs(self, log_probs: str) -> str:
        """`log_probs` (batch, frames, units) on the grid of the outputs."""
        if not self.merges.place:
            return log_probs
        self.frames = self.unmerged
        place = self.graph.add("Unsqueeze", self.merges.place, self.graph.constant([2]))
        return self.graph.add("GatherND", log_probs, place, batch_dims=1)

    def network(self, x: str, config: CtcConfig) -> str:
        """Features (batch, frames, inputs) to log probabilities (batch, shorter, units)."""
        self.set_merges(config)
        if config.trunk is not None:
            x = self.trunk(x, config.trunk)
        if config.subsampling is not None:
            x = self.subsampling(x, config.subsampling, config.front_end.inputs)
        if config.inception is not None:
            x = self.inception(x, config.inception)
        if config.recurrent is not None:
            x = self.recurrent(x, config.recurrent)
        if config.conformer is not None:
            x = self.conformer(x, config.conformer)
        return self.outputs(self.graph.add("LogSoftmax", self.linear(x, ["output"]), axis=-1))

    def with_context(
        self, x: str, name: str, axis: int, span: int, sizes: tuple[int, ...]
    ) -> tuple[str, tuple[int, int]]:
        """The input of the convolution `name` over `span` + 1 frames of `x`, along `axis`, and its zero padding.

        `sizes` are those of `x` but for the frames.
        """
        return x, edges(span, self.streaming is not None)

    def zero_padding(self, x: str, axis: int, missing: list[int]) -> str:
        """`x` with zeros in place of frames, along `axis`, that are padding."""
        return self.graph.add("Mul", x, self.real(x, axis, missing))

    def state_in(self, name: str, cell: str, units: int) -> list[str]:
        """The initial state of the recurrent layer `name`; empty: zeros."""
        return []

    def state_out(self, name: str, states: list[str]) -> None:
        """Take the layer's state after its last frame; whole clips do not need it."""

    def distances_and_bias(self, x: str, widths: ConformerWidths) -> tuple[str, str]:
        """For `x` (batch, frames, width): the distances between frames, as columns of the tables, and the mask bias of
        the attention scores."""
        g = self.graph
        valid = g.add("Cast", g.add("Squeeze", self.real(x, 1, [2]), g.constant([2])), to=9)  # bool
        steps = g.count(g.size(x, 1))
        padding_bias = self.mask_bias(valid)
        if self.streaming is not None:
            streaming = self.streaming.over(self.left)
            chunk, left = g.constant(streaming.chunk), g.constant(streaming.left)
            start = g.add("Unsqueeze", g.add("Mul", g.add("Div", steps, chunk), chunk), g.constant([1]))
            early = g.add("GreaterOrEqual", steps, g.add("Sub", start, left))
            late = g.add("Less", steps, g.add("Add", start, chunk))
            padding_bias = g.add("Add", padding_bias, self.mask_bias(g.add("And", early, late), axes=(0, 1)))
        at = self.merges.positions(x) if self.merges.place else g.add("Mul", steps, g.constant(self.merges.stride))
        return self.distance_columns(at, at, widths), padding_bias

    def distance_columns(self, frames: str, attended: str, widths: ConformerWidths) -> str:
        """The distances from each of `frames` (n,) to each of `attended` (m,), as columns of the tables: (n, m); with
        a batch before them where rows differ."""
        g = self.graph
        distance = g.add(
            "Sub", g.add("Unsqueeze", attended, g.constant([-2])), g.add("Unsqueeze", frames, g.constant([-1]))
        )
        distance = g.add("Clip", distance, g.constant(-widths.farthest), g.constant(widths.farthest))
        return g.add("Add", distance, g.constant(widths.farthest))

    def with_cached(self, name: str, keys: str, values: str, block: ConformerBlockWidths) -> tuple[str, str]:
        """Keys and values (batch, heads, frames, dim), after the cached ones of earlier frames."""
        return keys, values

    def real(self, x: str, axis: int, missing: list[int]) -> str:
        """1.0 where frames of `x`, which stand along `axis`, are real, else 0.0, with axes `missing` put in."""
        g = self.graph
        inside = g.add("Less", g.count(g.size(x, axis)), g.add("Unsqueeze", self.frames, g.constant([1])))
        return g.add("Unsqueeze", g.add("Cast", inside, to=FLOAT), g.constant(missing))

    def shorten(self, stride: int) -> None:
        """One frame in `stride` is left, rounded up."""
        g = self.graph
        if stride > 1:
            self.frames = g.add("Div", g.add("Add", self.frames, g.constant(stride - 1)), g.constant(stride))

    def filters(self, x: str, name: str, weight: Array, bias: Array, **attributes: Any) -> str:
        """A convolution with `weight` (out, in, taps ...), stored as the matrix that it is."""
        g = self.graph
        matrix = store(g, name, weight.reshape(len(weight), -1).T, self.precision, self.many_rows)
        shaped = g.add("Reshape", g.add("Transpose", matrix.floats(), perm=[1, 0]), g.constant(list(weight.shape)))
        return g.add("Conv", x, shaped, g.weight(f"{name}.bias", bias.astype(np.float32)), **attributes)

    def folded(self, name: str, norm: str) -> tuple[Array, Array]:
        """The convolution `name` (out, in, taps), and a bias, with BatchNorm `norm` after it folded in."""
        w = self.weights
        scale = w[f"{norm}.weight"] / np.sqrt(w[f"{norm}.running_var"] + EPSILON)
        return w[f"{name}.weight"] * scale[:, None, None], w[f"{norm}.bias"] - w[f"{norm}.running_mean"] * scale

    def trunk(self, x: str, widths: TrunkWidths) -> str:
        """A Whisper's encoder: (batch, frames, inputs) to (batch, positions, width)."""
        g, limit = self.graph, 2 * widths.context
        x = g.slice(x, g.constant([0]), g.constant([limit]), 1)
        self.frames = g.add("Min", self.frames, g.constant(limit))
        at_least_one = g.add("Max", self.frames, g.constant(1))
        x = encoded(self, x, at_least_one, "trunk", widths.layers, widths.attention_scale, self.merges)
        self.shorten(2)
        self.layers, self.unmerged = len(widths.layers), self.frames
        self.frames = g.add("Min", self.frames, g.add("Squeeze", self.merges.real, g.constant([1])))
        return x

    def subsampling(self, x: str, widths: SubsamplingWidths, lines: int) -> str:
        """(batch, frames, `lines`) to (batch, shorter, channels * lines)."""
        g = self.graph
        x = g.add("Unsqueeze", x, g.constant([1]))
        for i in range(len(widths.channels)):
            name = f"subsampling.convs.{i}"
            weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
            x, (before, after) = self.with_context(
                self.zero_padding(x, 2, [1, 3]), name, 2, 2, (weight.shape[1], lines)
            )
            x = g.add("Relu", self.filters(x, name, weight, bias, strides=[2, 2], pads=[before, 1, after, 1]))
            self.shorten(2)
            lines = (lines + 1) // 2
        x = g.add("Transpose", x, perm=[0, 2, 1, 3])
        sizes = [g.size(x, 0), g.size(x, 1), g.constant([-1])]
        return g.add("Reshape", x, g.add("Concat", *sizes, axis=0))

    def inception(self, x: str, widths: InceptionWidths) -> str:
        """(batch, frames, inputs) to (batch, shorter, channels)."""
        g = self.graph
        x = g.add("Transpose", self.zero_padding(x, 1, [2]), perm=[0, 2, 1])
        self.shorten(widths.stride)
        x = self._convolved(x, "inception.stem", 2 * widths.stride + 1, widths.stride)
        x = self.before(x, BY_CHANNEL)
        width = widths.stem
        for b, block in enumerate(widths.blocks):
            parts = []
            for i, branch in enumerate(block):
                part = x
                if branch.kind == "pool":
                    name = f"inception.blocks.{b}.branches.{i}.pool"
                    part, pads = self.with_context(part, name, 2, 2, (width,))
                    part = g.add("MaxPool", part, kernel_shape=[3], strides=[1], pads=list(pads))
                for j, taps in enumerate(TAPS[branch.kind]):
                    part = self._convolved(part, f"inception.blocks.{b}.branches.{i}.convs.{j}", taps)
                parts.append(part)
            x = self.after(g.add("Concat", *parts, axis=1), BY_CHANNEL)
            width = sum(branch.channels[-1] for branch in block)
        return g.add("Transpose", x, perm=[0, 2, 1])

    def _convolved(self, x: str, name: str, taps: int, stride: int = 1) -> str:
        """Convolution, BatchNorm, ReLU; padding comes out as zero."""
        weight, bias = self.folded(f"{name}.conv", f"{name}.norm")
        x, pads = self.with_context(x, name, 2, taps - 1, (weight.shape[1],))
        x = self.filters(x, name, weight, bias, strides=[stride], pads=list(pads))
        return self.zero_padding(self.graph.add("Relu", x), 2, [1])

    def recurrent(self, x: str, widths: RecurrentWidths) -> str:
        """(batch, frames, inputs) to (batch, frames, ahead + back)."""
        g = self.graph
        x = self.before(g.add("Transpose", x, perm=[1, 0, 2]), BY_TIME)
        for i, layer in enumerate(widths.layers):
            name = f"recurrent.layers.{i}"
            lengths = g.add("Cast", self.frames, to=6) if self.frames else ""  # int32
            ahead = self._direction(x, lengths, f"{name}.ahead", widths.cell, layer.ahead, "forward")
            if layer.back:
                back = self._direction(x, lengths, f"{name}.back", widths.cell, layer.back, "reverse")
                ahead = g.add("Concat", ahead, back, axis=3)
            x = self.after(g.add("Squeeze", ahead, g.constant([1])), BY_TIME)
        return g.add("Transpose", x, perm=[1, 0, 2])

    def _direction(self, x: str, lengths: str, name: str, cell: str, units: int, direction: str) -> str:
        """(frames, batch, inputs) to (frames, 1, batch, units)."""
        g, order = self.graph, GATES[cell]

        def gates(part: str) -> Array:
            """The gates' rows in ONNX's order."""
            values = self.weights[f"{name}.{part}_l0"]
            return np.concatenate([values[gate * units : (gate + 1) * units] for gate in order])

        matrices = []
        for part in ("weight_ih", "weight_hh"):
            matrix = store(g, f"{name}.{part}", gates(part).T, self.precision, self.many_rows)
            rows = g.add("Transpose", matrix.floats(), perm=[1, 0])
            matrices.append(g.add("Unsqueeze", rows, g.constant([0])))
        bias = np.concatenate([gates("bias_ih"), gates("bias_hh")])[None].astype(np.float32)
        how: dict[str, Any] = {"hidden_size": units, "direction": direction}
        if cell == "gru":
            how["linear_before_reset"] = 1
        inputs = [x, *matrices, g.weight(f"{name}.bias", bias), lengths, *self.state_in(name, cell, units)]
        output, *states = g.add_many(2 if cell == "gru" else 3, cell.upper(), *inputs, **how)
        self.state_out(name, states)
        return output

    def conformer(self, x: str, widths: ConformerWidths) -> str:
        """(batch, frames, inputs) to (batch, frames, width)."""
        x, distances, bias = self.before(self.linear(x, ["conformer.project"])), "", ""
        for i, block in enumerate(widths.layers):
            if not distances or self.merges.merges(self.layers):
                distances, bias = self.distances_and_bias(x, widths)
            x = self.after(self._block(x, f"conformer.layers.{i}", widths, block, distances, bias))
        return self.norm(x, "conformer.norm")

    def _block(
        self,
        x: str,
        name: str,
        widths: ConformerWidths,
        block: ConformerBlockWidths,
        distance_columns: str,
        padding_bias: str,
    ) -> str:
        """One Conformer block."""
        g = self.graph
        x = self._half_ffn(x, name, "ffn1")
        normed = self.norm(x, f"{name}.attention_norm")
        query, keys, values = self.project(normed, f"{name}.attention", block.attention, widths.attention_scale)
        keys, values = self.with_cached(f"{name}.attention", *self.cache(keys, values, block.attention), block)
        table = f"{name}.attention.distance"
        distances = g.add("Gather", store_sum(g, table, self.weights[table], self.precision), distance_columns, axis=1)
        if self.merges.place:  # each row has its own
            distances = g.add("Transpose", distances, perm=[1, 0, 2, 3])
        attended = self.attend(query, keys, values, g.add("Add", distances, padding_bias), block.attention)
        x = g.add("Add", x, self.linear(attended, [f"{name}.attention.out"]))
        x = g.add("Add", x, self._module(self.norm(x, f"{name}.conv_norm"), f"{name}.conv", block.conv, widths))
        return self._half_ffn(x, name, "ffn2")

    def _half_ffn(self, x: str, name: str, ffn: str) -> str:
        """Half a feed-forward, added."""
        hidden = self.graph.add("Gelu", self.linear(self.norm(x, f"{name}.{ffn}_norm"), [f"{name}.{ffn}.up"]))
        return self.graph.add("Add", x, self.linear(hidden, [f"{name}.{ffn}.down"], 0.5))

    def _module(self, x: str, name: str, channels: int, widths: ConformerWidths) -> str:
        """The convolution module."""
        g = self.graph
        value, gate = self.split(self.linear(x, [f"{name}.gated"]), [channels, channels])
        x = self.zero_padding(g.add("Mul", value, g.add("Sigmoid", gate)), 1, [2])
        weight, bias = self.folded(f"{name}.depthwise", f"{name}.norm")
        x, pads = self.with_context(g.add("Transpose", x, perm=[0, 2, 1]), name, 2, widths.kernel - 1, (channels,))
        x = self.filters(x, f"{name}.depthwise", weight, bias, pads=list(pads), group=channels)
        x = g.add("Mul", x, g.add("Sigmoid", x))
        return self.linear(g.add("Transpose", x, perm=[0, 2, 1]), [f"{name}.out"])
