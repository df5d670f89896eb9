"""Encoder-decoders as ONNX: the encoder with cross keys and values, the decoder with a cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..decode.session import Floats, TokenConfig
from ..models.token_network import TokenNetwork
from ..runtime.contents import DECODER, ENCODER, features_name
from ..runtime.onnx_session import OnnxSession, load_session
from .exporter import Observed
from .graph import ModelProto
from .layers import Weights
from .parity import Parity, SourceSteps, check_finite, parity, source_steps
from .precision import Ranges
from .smoothing import Scaling, smooth

BEHIND_GELU = (
    "encoder.conv2",
    "ffn.down",
    "ffn.down.reduce",
)  # some rows are far larger than the others: quantised row by row


@dataclass(frozen=True)
class TokenExporter:
    """See `exporter.Exporter`. `encoder` takes (config, weights, precision, ranges, nibbles), `decoder` (config,
    weights, precision, nibbles); `scalings` are the scales that smoothing can fold into weights (see `smoothing`)."""

    encoder: Callable[[Any, Weights, str, Ranges | None, Sequence[str]], ModelProto]
    decoder: Callable[[Any, Weights, str, Sequence[str]], ModelProto]
    scalings: Callable[[Any], list[Scaling]] | None = None

    def graphs(
        self, config: TokenConfig, weights: Weights, precision: str, ranges: Ranges | None, nibbles: Sequence[str]
    ) -> Iterator[tuple[str, ModelProto]]:
        """See `Exporter.graphs`."""
        yield ENCODER, self.encoder(config, weights, precision, ranges, nibbles)
        yield DECODER, self.decoder(config, weights, precision, nibbles)

    def check_runs(self, folder: Path, config: TokenConfig) -> None:
        """See `Exporter.check_runs`."""
        encoder = load_session(folder / ENCODER, None)
        length = max(config.front_end.sample_rate // config.front_end.hop // 5, 20)
        features = np.random.default_rng(0).standard_normal((2, length, config.front_end.inputs), np.float32)
        names = [output.name for output in encoder.get_outputs()]
        inputs = {features_name(config): features, "frames": np.array([length, length // 2])}
        encoded = dict(zip(names, encoder.run(None, inputs), strict=True))
        del encoder  # both do not need to fit in memory
        decoder = load_session(folder / DECODER, None)
        feed = {value.name: encoded[value.name] for value in decoder.get_inputs() if value.name in encoded}
        for value in decoder.get_inputs():
            if value.name.startswith("past_"):
                _, heads, _, size = value.shape
                feed[value.name] = np.zeros((2, heads, 0, size), np.float32)
        check_finite(decoder.run(None, {"tokens": np.array([[0, 1], [1, 0]]), **feed}))

    def window(self, config: TokenConfig) -> tuple[int | None, bool]:
        """See `Exporter.window`."""
        return config.window, config.padded

    def observed(self, model: TokenNetwork) -> Observed:
        """See `Exporter.observed`: cross-attention's keys and values are one product in the encoder's graph."""
        key = "decoder.layers.0.cross_attention.key"
        also = (f"{key}.reduce" if key in getattr(model.config, "ranks", {}) else key, model.encoder.norm)
        return Observed(model.encoder, model.encode, "encoder.", also, BEHIND_GELU)

    def smoothed(self, model: TokenNetwork, features: Sequence[Floats]) -> TokenNetwork:
        """See `Exporter.smoothed`."""
        if self.scalings is None:
            return model
        return smooth(model, self.scalings(model.config), self.observed(model), features)

    def expected(self, model: TokenNetwork, features: Sequence[Floats]) -> list[SourceSteps]:
        """See `Exporter.expected`."""
        return source_steps(model, features)

    def compare(self, expected: list[SourceSteps], folder: Path) -> Parity:
        """See `Exporter.compare`."""
        return parity(expected, OnnxSession(folder))
