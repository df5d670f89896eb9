"""Whisper as one of the families."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...models.family import Family
from ...text.tokenizer import Tokenizer
from .config import WhisperConfig
from .cost import count_macs, count_parameters, macs_by_part

if TYPE_CHECKING:
    from ...models.network import Recogniser


def _network() -> type[Recogniser]:
    from .model import Whisper

    return Whisper


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


FAMILY = Family(
    config=WhisperConfig, network=_network, parameters=lambda config: count_parameters(config)["total"],
    macs=_macs, parts=_parts, text_file="tokenizer.json", read_text=_read_text, weights=_weights,
)  # fmt: skip
