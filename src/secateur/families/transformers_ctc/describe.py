"""Widths of the CTC models of `transformers`, by the names that parts have in a checkpoint (no torch here)."""

from __future__ import annotations

from collections.abc import Iterator

from .config import HfCtcConfig
from .widths import WAV2VEC2, BlockNames, BlockWidths


def widths_of(config: HfCtcConfig) -> dict[str, str]:
    """See `Family.widths`."""
    return dict(_parts(config))


def _parts(config: HfCtcConfig) -> Iterator[tuple[str, str]]:
    body = f"net.{config.body}"
    for i, channels in enumerate(config.convs):
        yield f"{body}.feature_extractor.conv_layers.{i}.conv", f"{channels} channels"
    if not config.conformer:
        yield f"{body}.encoder.pos_conv_embed.conv", f"{len(config.kept_position_groups)} groups"
    for i, layer in enumerate(config.layers):
        where = f"{body}.encoder.layers.{i}"
        if isinstance(layer, BlockWidths):
            yield from block_widths(layer, WAV2VEC2, where)
            continue
        kept = f" (of {config.all_heads}: {', '.join(map(str, layer.kept))})" if layer.kept else ""
        yield f"{where}.attention", f"{layer.heads} heads{kept}"
        yield f"{where}.feed_forward", f"{layer.ffn} units"


def block_widths(widths: BlockWidths, names: BlockNames, where: str) -> Iterator[tuple[str, str]]:
    """Those of one Conformer block, which is called `where`."""
    first, second = names.ffns
    yield f"{where}.{first}", f"{widths.ffn1} units"
    yield f"{where}.{names.attention}", f"{widths.heads} heads"
    yield f"{where}.{names.conv}", f"{widths.conv} channels"
    yield f"{where}.{second}", f"{widths.ffn2} units"
