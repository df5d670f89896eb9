"""The toy's ONNX graph."""

from __future__ import annotations

from typing import Any

import numpy as np

from secateur.export.frame_export import FrameExporter
from secateur.export.graph import OnnxGraph

from .config import ToyConfig


def toy_graph(config: ToyConfig, weights: Any, precision: str, ranges: Any = None) -> Any:
    g = OnnxGraph("toy")
    x = g.input("features", np.float32, ("batch", "frames", config.front_end.inputs))
    frames = g.input("frames", np.int64, ("batch",))
    real = g.add("Less", g.count(g.size(x, 1)), g.add("Unsqueeze", frames, g.constant([1])))
    x = g.add("Mul", x, g.add("Unsqueeze", g.add("Cast", real, to=1), g.constant([2])))
    x = g.add("Transpose", x, perm=[0, 2, 1])
    x = g.add("Conv", x, g.weight("up", weights["up.weight"]), g.weight("up.bias", weights["up.bias"]), pads=[1, 1])
    x = g.add("Relu", g.add("Transpose", x, perm=[0, 2, 1]))
    x = g.add("MatMul", x, g.weight("output", np.ascontiguousarray(weights["output.weight"].T)))
    x = g.add("LogSoftmax", g.add("Add", x, g.weight("output.bias", weights["output.bias"])), axis=-1)
    g.output(x, "log_probs", np.float32, ("batch", "frames", config.units))
    g.output(g.add("Identity", frames), "log_probs_frames", np.int64, ("batch",))
    return g.model({"precision": precision})


class ToyExporter(FrameExporter):
    """A toy graph has no second one for chunks."""


EXPORTER = ToyExporter(toy_graph)
