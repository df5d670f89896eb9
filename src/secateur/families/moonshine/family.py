"""Moonshine as one of the families."""

from __future__ import annotations

from pathlib import Path

from ...base.plugins import Lazy
from ...text.pieces_tokenizer import PieceTokenizer
from ..kinds import TokenFamily
from .config import MoonshineConfig
from .cost import count_parameters, macs_by_part


def _read_text(path: Path, config: MoonshineConfig) -> PieceTokenizer:
    return PieceTokenizer.read(path, config.tokens.end)


def _weights(config: MoonshineConfig) -> int:
    parts = count_parameters(config)
    return parts["total"] - parts["vocabulary"]


FAMILY = TokenFamily(
    name="moonshine", config=MoonshineConfig, network=Lazy("secateur.families.moonshine.model:Moonshine"),
    parameters=lambda config: count_parameters(config)["total"], parameters_by_part=count_parameters,
    macs=lambda config, seconds, tokens, padded: sum(macs_by_part(config, seconds, tokens).values()),
    parts=macs_by_part, read_text=_read_text, weights=_weights,
    exporter=Lazy("secateur.families.moonshine.graph:EXPORTER"),
    writers={
        "transformers": Lazy("secateur.families.moonshine.folder:write_moonshine"),
        "transformers-pruned": Lazy("secateur.families.moonshine.folder:write_pruned_moonshine"),
    },
    precisions=dict.fromkeys(("transformers", "transformers-pruned"), ("fp32", "fp16", "bf16")),
    layouts={"moonshine": Lazy("secateur.families.moonshine.folder:read_moonshine")},
)  # fmt: skip
