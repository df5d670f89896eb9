"""Moonshine as one of the families."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...models.family import Family
from ...text.pieces_tokenizer import PieceTokenizer
from .config import MoonshineConfig
from .cost import count_parameters, macs_by_part

if TYPE_CHECKING:
    from ...models.network import Recogniser


def _network() -> type[Recogniser]:
    from .model import Moonshine

    return Moonshine


def _read_text(path: Path, config: MoonshineConfig) -> PieceTokenizer:
    return PieceTokenizer.read(path, config.tokens.end)


def _weights(config: MoonshineConfig) -> int:
    parts = count_parameters(config)
    return parts["total"] - parts["vocabulary"]


FAMILY = Family(
    config=MoonshineConfig, network=_network, parameters=lambda config: count_parameters(config)["total"],
    macs=lambda config, seconds, tokens, padded: sum(macs_by_part(config, seconds, tokens).values()),
    parts=macs_by_part, text_file="tokenizer.json", read_text=_read_text, weights=_weights,
)  # fmt: skip
