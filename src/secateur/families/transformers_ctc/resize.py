"""A network of `transformers` with a width of its own for every layer: layers that its classes cannot build are
replaced.

The position convolution is without its weight norm and with any of its groups. In `transformers` its weights are normed
over all channels of a tap, so that a channel less would change the others. Here the norm is multiplied out (and put
back for `transformers`), so that groups of channels can be removed one by one: kept channels of the stream are
convolved, the others get nothing added.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...models.groups import Group, Place
from .blocks import block_groups, linear, resize_block
from .config import HfCtcConfig
from .wavlm import WavLmAttention
from .widths import WAV2VEC2, BlockWidths, LayerWidths

NORM = "parametrizations.weight.original"  # their size of each tap (0) and direction (1)


class Positions(nn.Module):
    """Groups `kept` out of `groups` of `width` channels; GELU(0) = 0, so a zeroed group is a removed one."""

    def __init__(self, width: int, taps: int, groups: int, kept: Sequence[int]) -> None:
        super().__init__()
        size = width // groups
        self.conv = nn.Conv1d(len(kept) * size, len(kept) * size, taps, padding=taps // 2, groups=len(kept))
        self.trim = taps % 2 == 0  # one frame too many
        self.channels = None if len(kept) == groups else [g * size + i for g in kept for i in range(size)]

    def forward(self, x: Tensor) -> Tensor:
        """(batch, frames, width) to the same."""
        selected = x if self.channels is None else x[..., self.channels]
        selected = self.conv(selected.transpose(1, 2))
        selected = F.gelu(selected[..., :-1] if self.trim else selected).transpose(1, 2)
        if self.channels is None:
            return selected
        output = selected.new_zeros(x.shape)
        output[..., self.channels] = selected
        return output


def multiplied_out(size: Tensor, direction: Tensor) -> Tensor:
    """Weights (out, in, taps) of their two parts: each tap's `size` (1, 1, taps) times its `direction`, normed."""
    direction = direction.float()
    return direction * (size.float() / direction.square().sum((0, 1), keepdim=True).sqrt())


def normed(weight: Tensor) -> dict[str, Tensor]:
    """Their two parts of weights (out, in, taps); a zero tap has a direction all the same."""
    size = weight.square().sum((0, 1), keepdim=True).sqrt()
    return {f"{NORM}0": size, f"{NORM}1": torch.where(size > 0, weight, torch.ones_like(weight))}


PROJECTIONS = ("q_proj", "k_proj", "v_proj")


def resize(body: Any, config: HfCtcConfig) -> None:
    """Give `body`, a Wav2Vec2Model or one of its kin, the layers of `config`."""
    if not config.conformer:  # which has such a convolution and never runs it
        taps, groups = config.position_taps
        body.encoder.pos_conv_embed = Positions(config.width, taps, groups, config.kept_position_groups)
    if config.kind == "wavlm":
        body.encoder.positions = nn.Embedding(config.distances[0], config.all_heads)
    for layer, widths in zip(body.encoder.layers, config.layers, strict=True):
        if isinstance(widths, BlockWidths):
            resize_block(layer, WAV2VEC2, widths, config.width, config.head_size)
        else:
            _resize_layer(body, layer, widths, config)


def _resize_layer(body: Any, layer: Any, widths: LayerWidths, config: HfCtcConfig) -> None:
    width, inner = config.width, widths.heads * config.head_size
    attention, forward = layer.attention, layer.feed_forward
    if config.kind == "wavlm":
        kept, table = widths.kept or range(widths.heads), body.encoder.positions
        layer.attention = WavLmAttention(width, config.head_size, kept, config.distances[1], table)
    else:
        for part in PROJECTIONS:
            setattr(attention, part, linear(getattr(attention, part), width, inner))
        attention.out_proj, attention.num_heads = linear(attention.out_proj, inner, width), widths.heads
    forward.intermediate_dense = linear(forward.intermediate_dense, width, widths.ffn)
    forward.output_dense = linear(forward.output_dense, widths.ffn, width)


def layer_groups(layer: object, where: str, widths: LayerWidths | BlockWidths, config: HfCtcConfig) -> list[Group]:
    """Heads and feed-forward units of the layer that the network calls `where`, and a block's channels."""
    size = config.head_size
    if isinstance(widths, BlockWidths):
        return block_groups(layer, WAV2VEC2, where, widths, size)
    attention, forward = f"{where}.attention", f"{where}.feed_forward"
    rows = [Place(f"{attention}.{part}.{leaf}", 0, size) for part in PROJECTIONS for leaf in ("weight", "bias")]
    if config.kind == "wavlm":
        rows.append(Place(f"{attention}.gru_rel_pos_const", 1, masked=False))
    heads = (*rows, Place(f"{attention}.out_proj.weight", 1, size, reads=True))
    rows = [Place(f"{forward}.intermediate_dense.{leaf}", 0) for leaf in ("weight", "bias")]
    units = (*rows, Place(f"{forward}.output_dense.weight", 1, reads=True))
    return [Group(attention, "head", widths.heads, heads), Group(forward, "ffn", widths.ffn, units)]
