"""The graph of a Parakeet with a CTC output, written straight from the weights."""

from __future__ import annotations

import numpy as np

from ...export.frame_export import FrameExporter
from ...export.graph import ModelProto, OnnxGraph
from ...export.layers import Weights
from ...export.precision import Ranges
from ..transformers_ctc.conformer_graph import BlockBuilder
from ..transformers_ctc.widths import PARAKEET
from .config import ParakeetConfig, depthwise


def parakeet_graph(
    config: ParakeetConfig, weights: Weights, precision: str, ranges: Ranges | None = None
) -> ModelProto:
    """features (batch, frames, bins), frames (batch,) to log_probs (batch, shorter, units) and how many are real."""
    b = _ParakeetBuilder(OnnxGraph("parakeet"), weights, precision, True, ranges)
    g, body = b.graph, "net.encoder"
    b.names, b.width, b.size = PARAKEET, config.width, config.head_size
    x = g.input("features", np.float32, ("batch", "frames", config.front_end.bins))
    b.frames = g.input("frames", np.int64, ("batch",))
    x = b.subsampled(x, f"{body}.subsampling", config)
    b.set_merges(config)
    x = b.before(x)
    for i, block in enumerate(config.layers):
        if i == 0 or b.merges.merges(i):
            b.mask_padding(x)
            b.distance = b.distances(x)
        x = b.after(b.block(x, f"{body}.layers.{i}", block))
    log_probs = g.add("LogSoftmax", b.pointwise(x, "net.ctc_head"), axis=-1)
    g.output(log_probs, "log_probs", np.float32, ("batch", "shorter", config.units))
    g.output(b.frames, "log_probs_frames", np.int64, ("batch",))
    return g.model({"precision": precision})


class _ParakeetBuilder(BlockBuilder):
    """Adds what comes before the blocks."""

    def subsampled(self, x: str, name: str, config: ParakeetConfig) -> str:
        """(batch, frames, bins) to (batch, shorter, width)."""
        g = self.graph
        x = g.add("Unsqueeze", x, g.constant([1]))
        x = g.add("Mul", x, self.real(x, 2, [1, 3]))
        for i in range(len(config.convs)):
            if i == 0:
                x = self._conv(x, f"{name}.layers.0", strides=[2, 2], pads=[1, 1, 1, 1])
                self.shorten(2)
            else:
                stage = f"{name}.layers.{depthwise(i)}"
                x = self._conv(x, stage, strides=[2, 2], pads=[1, 1, 1, 1], group=config.convs[i - 1])
                self.shorten(2)
                x = self._conv(x, f"{name}.layers.{depthwise(i) + 1}")
            x = g.add("Mul", g.add("Relu", x), self.real(x, 2, [1, 3]))
        x = g.add("Transpose", x, perm=[0, 2, 1, 3])
        sizes = [g.size(x, 0), g.size(x, 1), g.constant([-1])]
        x = g.add("Reshape", x, g.add("Concat", *sizes, axis=0))
        linear = f"{name}.linear"
        scale = config.input_scale
        return self.product(
            x, linear, self.weights[f"{linear}.weight"].T * scale, self.weights[f"{linear}.bias"] * scale
        )

    def _conv(self, x: str, name: str, **how: object) -> str:
        return self.filters(x, name, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"], **how)


EXPORTER = FrameExporter(parakeet_graph)
