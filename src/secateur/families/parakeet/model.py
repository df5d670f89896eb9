"""ParakeetForCTC, the module of `transformers` itself, with its groups declared.

Added to it: layers of different widths, BatchNorm that ignores padding, a `gate` on every block.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from ...base.extras import require
from ...models.groups import Group, Place, TimeAxis
from ...models.network import STREAM, FrameNetwork
from ..ctc.frames import valid_frames
from ..transformers_ctc.blocks import block_groups, layer_group, mask_padding, resize_block, with_gates
from ..transformers_ctc.merging import LayerMerges, relative
from ..transformers_ctc.widths import PARAKEET
from .config import ParakeetConfig, depthwise


class Parakeet(FrameNetwork):
    """`net` is the `transformers` module; its parameters keep their names."""

    config: ParakeetConfig

    def __init__(self, config: ParakeetConfig) -> None:
        super().__init__(config)
        library: Any = require("transformers", "transformers")
        # `prune` and `train` drop layers themselves.
        encoder = {**config.theirs(), "layerdrop": 0.0}
        self.net = library.ParakeetForCTC(
            library.ParakeetCTCConfig(vocab_size=config.units, pad_token_id=0, encoder_config=encoder)
        )
        body = self.net.encoder
        resize(body, config)
        with torch.device("cpu"):  # no part of a checkpoint, so that nothing would fill it
            body.encode_positions = type(body.encode_positions)(body.config)
        self.padding = [module for block in body.layers for module in mask_padding(block, PARAKEET)]
        with_gates(body.layers)
        self.merges = LayerMerges(config, config.width, body.layers, relative("position_embeddings"))

    def forward(self, features: Tensor, frames: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """See `FrameNetwork`; features are (batch, frames, bins).

        Rows of a padded batch equal the same clips run alone, as far as they are real.
        """
        x = features
        lengths = torch.full((len(x),), x.shape[1], device=x.device) if frames is None else frames.to(x.device)
        real = valid_frames(lengths, x.shape[1])
        short = lengths
        for _ in self.config.convs:
            short = (short + 1) // 2
        inside = valid_frames(short, self.config.shorter(x.shape[1]))
        for module in self.padding:
            module.real = inside
        hidden = self.net.encoder(x * real[..., None], attention_mask=real).last_hidden_state
        return self.merges.outputs(self.net.ctc_head(self.dropout(hidden)).float().log_softmax(-1), short)

    def on_first_grid(self) -> AbstractContextManager[object]:
        """See `Network.on_first_grid`."""
        return self.merges.on_first_grid()

    def time_axes(self) -> list[TimeAxis]:
        """None: positions are counted in frames."""
        return []

    def groups(self) -> list[Group]:
        """Channels of the subsampling; heads, feed-forward units and channels of every block; whole blocks."""
        layers = layer_group("net.encoder.layers", self.net.encoder.layers)
        return [*encoder_groups(self.net.encoder, "net.encoder", self.config), layers]

    def ungrouped(self) -> dict[str, str]:
        """See `Network.ungrouped`."""
        return {
            "*.gate": "passes the input of a masked layer through",
            "*.ctc_head.*": "a row for every token",
            "*": STREAM,
        }


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
