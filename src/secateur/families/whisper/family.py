"""Whisper as one of the families."""

from __future__ import annotations

from pathlib import Path

from ...base.plugins import Lazy
from ...text.tokenizer import Tokenizer
from ..tokens import TokenFamily
from .config import WhisperConfig
from .cost import count_macs, count_parameters, macs_by_part
from .describe import kept_positions, layers_of
from .published import original, published


def _macs(config: WhisperConfig, seconds: float, tokens: int, padded: bool | None) -> int:
    room = config.text_context - len(config.tokens.prompt())
    return count_macs(config, min(seconds, config.max_seconds), min(tokens, room), padded)["total"]


def _parts(config: WhisperConfig, seconds: float, tokens: int) -> dict[str, int]:
    room = config.text_context - len(config.tokens.prompt())
    return macs_by_part(config, min(seconds, config.max_seconds), min(tokens, room))


def _read_text(path: Path, config: WhisperConfig) -> Tokenizer:
    return Tokenizer.read(path, config.tokens.end)


def _weights(config: WhisperConfig) -> int:
    parts = count_parameters(config)
    return parts["total"] - sum(parts[name] for name in ("vocabulary", "encoder.positions", "decoder.positions"))


FAMILY = TokenFamily(
    name="whisper", config=WhisperConfig, network=Lazy("secateur.families.whisper.model:Whisper"),
    parameters=lambda config: count_parameters(config)["total"], parameters_by_part=count_parameters,
    macs=_macs, parts=_parts, read_text=_read_text, weights=_weights, layers=layers_of, original=original,
    contexts=kept_positions,
    exporter=Lazy("secateur.families.whisper.export:EXPORTER"),
    writers={
        "transformers": Lazy("secateur.families.whisper.write_transformers:write_transformers"),
        "transformers-pruned": Lazy("secateur.families.whisper.write_pruned:write_pruned_whisper"),
        "ctranslate2": Lazy("secateur.families.whisper.write_ctranslate2:write_ctranslate2"),
        "ggml": Lazy("secateur.families.whisper.write_ggml:write_ggml"),
    },
    precisions={
        "transformers": ("fp32", "fp16", "bf16"), "transformers-pruned": ("fp32", "fp16", "bf16"),
        "ctranslate2": ("fp16", "fp32"), "ggml": ("fp16", "fp32"),
    },
    readers=(
        Lazy("secateur.families.whisper.read_openai:READER"),
        Lazy("secateur.families.whisper.read_ctranslate2:READER"),
    ),
    layouts={"whisper": Lazy("secateur.families.whisper.read_transformers:read_whisper")},
    published=published, trunk=Lazy("secateur.families.ctc.presets:whisper_ctc"),
)  # fmt: skip
