"""Widths of a Parakeet, by the names that its parts have in a checkpoint (no torch here)."""

from __future__ import annotations

from collections.abc import Iterator

from ..transformers_ctc.describe import block_widths
from ..transformers_ctc.widths import PARAKEET
from .config import ParakeetConfig, depthwise


def widths_of(config: ParakeetConfig) -> dict[str, str]:
    """See `Family.widths`."""
    return dict(_parts(config))


def _parts(config: ParakeetConfig) -> Iterator[tuple[str, str]]:
    for i, channels in enumerate(config.convs):
        yield f"net.encoder.subsampling.layers.{depthwise(i) + 1 if i else 0}", f"{channels} channels"
    for i, block in enumerate(config.layers):
        yield from block_widths(block, PARAKEET, f"net.encoder.layers.{i}")
