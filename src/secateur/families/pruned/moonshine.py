"""Moonshine with layers of any widths as a model of `transformers`, `generate` and its cache included."""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor, nn
from transformers import MoonshineConfig as TheirConfig
from transformers import MoonshineForConditionalGeneration

from ..moonshine.config import STRIDES, TAPS, GroupedAttentionWidths, MoonshineConfig
from ..moonshine.model import ChannelsNorm
from .secateur_config import secateur_config


class PrunedMoonshineConfig(TheirConfig):
    """Moonshine's, with our own under `secateur`."""

    model_type = "secateur-moonshine"
    secateur: dict[str, Any] | None = None


class CountedNorm(ChannelsNorm):
    """The norm after the first convolution, over the channels before pruning."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """(batch, channels, frames) to the same; padding is included, as in `transformers`."""
        return super().forward(x, None)


def resize(model: Any, config: MoonshineConfig) -> None:
    """Give a MoonshineModel the widths of `config`."""
    encoder, (first, second), width = model.encoder, config.convs, config.width
    encoder.conv1 = nn.Conv1d(1, first, TAPS[0], STRIDES[0], bias=False)
    encoder.groupnorm = CountedNorm(first, config.norm_channels)
    encoder.conv2 = nn.Conv1d(first, second, TAPS[1], STRIDES[1])
    encoder.conv3 = nn.Conv1d(second, width, TAPS[2], STRIDES[2])
    for layer, own in zip(encoder.layers, config.encoder, strict=True):
        _resize_attention(layer.self_attn, own.attention, config)
        layer.mlp.fc1, layer.mlp.fc2 = nn.Linear(width, own.ffn), nn.Linear(own.ffn, width)
    for layer, widths in zip(model.decoder.layers, config.decoder, strict=True):
        _resize_attention(layer.self_attn, widths.self_attention, config)
        _resize_attention(layer.encoder_attn, widths.cross_attention, config)
        layer.mlp.fc1, layer.mlp.fc2 = nn.Linear(width, 2 * widths.ffn), nn.Linear(widths.ffn, width)


def _resize_attention(attention: Any, widths: GroupedAttentionWidths, config: MoonshineConfig) -> None:
    """Queries of a head of their own each: `transformers` runs no others."""
    inner, width = widths.heads * config.head_size, config.width
    attention.config = copy.copy(attention.config)
    attention.config.num_attention_heads = attention.config.num_key_value_heads = widths.heads
    for part in ("q_proj", "k_proj", "v_proj"):
        setattr(attention, part, nn.Linear(width, inner, bias=config.bias))
    attention.o_proj = nn.Linear(inner, width, bias=False)


class PrunedMoonshineForConditionalGeneration(MoonshineForConditionalGeneration):
    """MoonshineForConditionalGeneration with the widths of its config."""

    config_class = PrunedMoonshineConfig

    def __init__(self, config: PrunedMoonshineConfig) -> None:
        super().__init__(config)
        resize(self.model, secateur_config(config, MoonshineConfig))
