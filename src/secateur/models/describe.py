"""What a model is made of, in words: the widths of its parts by the names that they have in a checkpoint (no torch)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..base.options import to_dict
from ..families.parakeet.config import ParakeetConfig, depthwise
from ..families.transformers_ctc.config import HfCtcConfig
from ..families.transformers_ctc.widths import PARAKEET, WAV2VEC2, BlockNames, BlockWidths
from .family import Config


def widths(config: Config) -> dict[str, str]:
    """Heads, units and channels of every part that has a width of its own."""
    if isinstance(config, HfCtcConfig):
        return dict(_samples(config))
    if isinstance(config, ParakeetConfig):
        return dict(_parakeet(config))
    found = dict(_listed(to_dict(config)))
    rows = getattr(config, "vocabulary", None)
    return found if rows is None else {**found, "vocabulary": f"{rows} rows"}


def _samples(config: HfCtcConfig) -> Iterator[tuple[str, str]]:
    body = f"net.{config.body}"
    for i, channels in enumerate(config.convs):
        yield f"{body}.feature_extractor.conv_layers.{i}.conv", f"{channels} channels"
    if not config.conformer:
        yield f"{body}.encoder.pos_conv_embed.conv", f"{len(config.heard_positions)} groups"
    for i, layer in enumerate(config.layers):
        where = f"{body}.encoder.layers.{i}"
        if isinstance(layer, BlockWidths):
            yield from _block(layer, WAV2VEC2, where)
            continue
        kept = f" (of {config.all_heads}: {', '.join(map(str, layer.kept))})" if layer.kept else ""
        yield f"{where}.attention", f"{layer.heads} heads{kept}"
        yield f"{where}.feed_forward", f"{layer.ffn} units"


def _parakeet(config: ParakeetConfig) -> Iterator[tuple[str, str]]:
    for i, channels in enumerate(config.convs):
        yield f"net.encoder.subsampling.layers.{depthwise(i) + 1 if i else 0}", f"{channels} channels"
    for i, block in enumerate(config.layers):
        yield from _block(block, PARAKEET, f"net.encoder.layers.{i}")


def _block(own: BlockWidths, names: BlockNames, where: str) -> Iterator[tuple[str, str]]:
    first, second = names.ffns
    yield f"{where}.{first}", f"{own.ffn1} units"
    yield f"{where}.{names.attention}", f"{own.heads} heads"
    yield f"{where}.{names.conv}", f"{own.conv} channels"
    yield f"{where}.{second}", f"{own.ffn2} units"


def _listed(values: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """Families of our own, whose configs are built like their networks."""
    if isinstance(values, dict) and "heads" in values:
        yield where, _heads(values)
    elif isinstance(values, dict):
        for key, value in values.items():
            name = ".".join(filter(None, (where, f"{key}.layers" if key in ("encoder", "decoder") else key)))
            if key == "channels" and isinstance(value, list):  # of a row of convolutions
                yield from ((f"{where}.convs.{i}", f"{n} channels") for i, n in enumerate(value))
            elif isinstance(value, dict | list) or any(piece.isdigit() for piece in where.split(".")):
                yield from _listed(value, name)
    elif isinstance(values, list):
        for i, value in enumerate(values):
            if isinstance(value, dict):
                yield from _listed(value, f"{where}.{i}")
    elif isinstance(values, int) and not isinstance(values, bool):
        yield where, f"{values} {'channels' if where.endswith('.conv') else 'units'}"


def _heads(widths: dict[str, int]) -> str:
    """One attention."""
    if "queries" in widths:
        shared = f", {widths['queries']} queries a head" if widths["queries"] > 1 else ""
        return f"{widths['heads']} heads{shared}"
    return f"{widths['heads']} heads, query/key {widths['query_key']}, value {widths['value']}"
