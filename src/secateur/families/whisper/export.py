"""Whisper as ONNX, and the scales that smoothing can fold into its weights."""

from __future__ import annotations

from ...export.smoothing import Scaling
from ...export.token_export import TokenExporter
from .config import WhisperConfig
from .graph import decoder_graph, encoder_graph


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
