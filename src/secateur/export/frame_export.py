"""CTC models as ONNX: one graph for whole clips, and for networks that stream one for chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..decode.session import Floats
from ..models.family import FrameConfig
from ..models.network import FrameNetwork
from ..runtime.contents import NETWORK, STREAM
from ..runtime.onnx_session import load_session
from .exporter import Observed
from .graph import ModelProto
from .layers import Weights
from .parity import FrameParity, SourceFrames, check_finite, frame_parity, source_frames
from .precision import Ranges


@dataclass(frozen=True)
class FrameExporter:
    """See `exporter.Exporter`. `graph` takes (config, weights, precision, ranges); `stream`, for configs that have
    `streaming`, (config, weights, precision)."""

    graph: Callable[[Any, Weights, str, Ranges | None], ModelProto]
    stream: Callable[[Any, Weights, str], ModelProto] | None = None

    def graphs(
        self, config: FrameConfig, weights: Weights, precision: str, ranges: Ranges | None, nibbles: Sequence[str]
    ) -> Iterator[tuple[str, ModelProto]]:
        """See `Exporter.graphs`."""
        yield NETWORK, self.graph(config, weights, precision, ranges)
        if self.stream is not None and getattr(config, "streaming", None) is not None:
            yield STREAM, self.stream(config, weights, precision)

    def check_runs(self, folder: Path, config: FrameConfig) -> None:
        """See `Exporter.check_runs`; the second row is shorter than any that gives an output."""
        least = getattr(config, "least", 10)  # frames
        network = load_session(folder / NETWORK, None)
        features = np.random.default_rng(0).standard_normal((2, 2 * least, config.front_end.inputs), np.float32)
        check_finite(network.run(None, {"features": features, "frames": np.array([2 * least, least - 1])}))

    def window(self, config: FrameConfig) -> tuple[int | None, bool]:
        """See `Exporter.window`: nothing limits a pass."""
        return None, False

    def observed(self, model: FrameNetwork) -> Observed:
        """See `Exporter.observed`."""
        return Observed(model, model)

    def smoothed(self, model: FrameNetwork, features: Sequence[Floats]) -> FrameNetwork:
        """See `Exporter.smoothed`."""
        return model

    def expected(self, model: FrameNetwork, features: Sequence[Floats]) -> list[SourceFrames]:
        """See `Exporter.expected`."""
        return source_frames(model, features)

    def compare(self, expected: list[SourceFrames], folder: Path) -> FrameParity:
        """See `Exporter.compare`."""
        return frame_parity(expected, folder)
