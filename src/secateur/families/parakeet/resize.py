"""A Parakeet encoder of `transformers` with a width of its own for every layer."""

from __future__ import annotations

from typing import Any

from torch import nn

from ...models.groups import Group, Place
from ..transformers_ctc.blocks import block_groups, resize_block
from ..transformers_ctc.widths import PARAKEET
from .config import ParakeetConfig, depthwise


def resize(encoder: Any, config: ParakeetConfig) -> None:
    """Give a ParakeetEncoder the subsampling and the blocks of `config`."""
    if len(set(config.convs)) > 1:
        subsampling, befores = encoder.subsampling, (1, *config.convs)
        for i, (before, channels) in enumerate(zip(befores, config.convs, strict=False)):
            if i:
                at = depthwise(i)
                subsampling.layers[at] = nn.Conv2d(before, before, 3, stride=2, padding=1, groups=before)
                subsampling.layers[at + 1] = nn.Conv2d(before, channels, 1)
        subsampling.linear = nn.Linear(config.convs[-1] * config.lines, config.width)
    for block, widths in zip(encoder.layers, config.layers, strict=True):
        resize_block(block, PARAKEET, widths, config.width, config.head_size)


def encoder_groups(encoder: Any, where: str, config: ParakeetConfig) -> list[Group]:
    """Channels of the subsampling, and what blocks are made of, in an encoder that the network calls `where`."""
    members = []
    convs = f"{where}.subsampling.layers"
    for i, channels in enumerate(config.convs):
        written = [f"{convs}.{depthwise(i) + 1 if i else 0}"]
        reader, lines = Place(f"{where}.subsampling.linear.weight", 1, config.lines, reads=True), i + 1
        if lines < len(config.convs):  # by a convolution of their own, then by the next stage
            written.append(f"{convs}.{depthwise(i + 1)}")
            reader = Place(f"{convs}.{depthwise(i + 1) + 1}.weight", 1, reads=True)
        rows = (Place(f"{conv}.{leaf}", 0) for conv in written for leaf in ("weight", "bias"))
        members.append(Group(f"{where}.subsampling.{i}", "conv", channels, (*rows, reader), minimum=4))
    for i, (block, widths) in enumerate(zip(encoder.layers, config.layers, strict=True)):
        members += block_groups(block, PARAKEET, f"{where}.layers.{i}", widths, config.head_size)
    return members
