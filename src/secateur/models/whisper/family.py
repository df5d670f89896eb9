"""Whisper as one of the families."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...text.tokenizer import Tokenizer
from ..family import Family
from .config import WhisperConfig
from .cost import count_macs, count_parameters

if TYPE_CHECKING:
    from ..network import Recogniser


def _network() -> type[Recogniser]:
    from .model import Whisper

    return Whisper


def usual_macs(config: WhisperConfig) -> int:
    """Multiply-accumulates of a 5 s clip with 16 tokens, or of what smaller contexts hold, cut to the clip."""
    seconds, tokens = min(5.0, config.max_seconds), min(16, config.text_context // 2)
    return count_macs(config, seconds, tokens, padded=False)["total"]


def _read_text(path: Path, config: WhisperConfig) -> Tokenizer:
    return Tokenizer.read(path, config.tokens.end)


FAMILY = Family(
    config=WhisperConfig, network=_network, parameters=lambda config: count_parameters(config)["total"],
    macs=usual_macs, text_file="tokenizer.json", read_text=_read_text,
)  # fmt: skip
