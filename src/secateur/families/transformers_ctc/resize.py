"""A network of `transformers` with a width of its own for every layer: layers that its classes cannot build are
replaced."""

from __future__ import annotations

from typing import Any

from torch import nn

from ...models.groups import Group, Place
from .blocks import block_groups, linear, resize_block
from .config import HfCtcConfig
from .positions import Positions
from .wavlm import WavLmAttention
from .widths import WAV2VEC2, BlockWidths, LayerWidths

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


def layer_groups(layer: Any, where: str, widths: LayerWidths | BlockWidths, config: HfCtcConfig) -> list[Group]:
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
