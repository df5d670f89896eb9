"""Moonshine, whole, with a width for every layer (Jeffries et al. 2024, arXiv 2410.15608).

Three convolutions on the samples, rotary positions, grouped queries, a gated feed-forward in the decoder; the layers
around them are those of `families/seq2seq/`. Shapes: samples `(batch, samples, 1)`, memory `(batch, positions, width)`
at 24 ms, tokens `(batch, length)`, logits `(batch, length, vocabulary)`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...models.groups import Group, Place
from ...models.network import STREAM
from ...models.token_network import Decoder, Encoder, TokenNetwork, valid_positions
from ..seq2seq.layers import DecoderLayer, EncoderLayer, attend, frame_merges, layer_groups
from ..whisper.model import FeedForward
from .config import STRIDES, TAPS, GroupedAttentionWidths, MoonshineConfig

EPSILON = 1e-5  # of the norm after the first convolution


def rotated(x: Tensor, start: int | Tensor, rotary: int, theta: float) -> Tensor:
    """Heads (batch, heads, length, dim) with their first `rotary` dimensions rotated, pair by pair, by the position
    (Su et al. 2021, arXiv 2104.09864); the first position is `start`, or all are in it (1 or batch, length)."""
    rates = theta ** (-torch.arange(0, rotary, 2, dtype=torch.float32, device=x.device) / rotary)
    steps = start if isinstance(start, Tensor) else torch.arange(start, start + x.shape[2], device=x.device)[None]
    angles = steps[:, None, :, None] * rates
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    first, second = x[..., :rotary:2], x[..., 1:rotary:2]
    turned = torch.stack((first * cos - second * sin, second * cos + first * sin), -1).flatten(-2)
    return torch.cat([turned, x[..., rotary:]], -1)


class RotaryAttention(nn.Module):
    """Multi-head attention in which several query heads may read one head of keys and values.

    In self-attention (`rotates`) queries and keys rotate with their positions.
    """

    def __init__(self, config: MoonshineConfig, widths: GroupedAttentionWidths, rotates: bool) -> None:
        super().__init__()
        self.widths, self.size, self.scale = widths, config.head_size, config.head_size**-0.5
        self.rotation = (config.rotary, config.rope_theta) if rotates else None
        inner = widths.heads * config.head_size
        self.query = nn.Linear(config.width, inner * widths.queries, bias=config.bias)
        self.key = nn.Linear(config.width, inner, bias=config.bias)
        self.value = nn.Linear(config.width, inner, bias=config.bias)
        self.out = nn.Linear(inner * widths.queries, config.width, bias=False)

    def keys_values(self, x: Tensor, start: int | Tensor = 0) -> tuple[Tensor, Tensor]:
        """Keys and values of `x` (batch, length, width), each (batch, heads, length, dim)."""
        return self._rotated(self._split(self.key(x)), start), self._split(self.value(x))

    def forward(
        self,
        x: Tensor,
        keys: Tensor,
        values: Tensor,
        mask: Tensor | None,
        causal: bool = False,
        start: int | Tensor = 0,
    ) -> Tensor:
        """Attend from `x` (batch, length, width), see `attend`."""
        queries = self._rotated(self._split(self.query(x)), start)
        return self.out(attend(queries, self._shared(keys), self._shared(values), mask, causal, self.scale))  # type: ignore[no-any-return]

    def scores(self, x: Tensor, keys: Tensor, mask: Tensor | None) -> Tensor:
        """Attention scores of `x` (batch, length, width) before the softmax: (batch, query heads, length, keys)."""
        products: Tensor = self.scale * self._split(self.query(x)) @ self._shared(keys).transpose(2, 3)
        return products if mask is None else products.masked_fill(~mask, -torch.inf)

    def groups(self) -> list[Group]:
        """Heads of keys and values, each with all query heads that read it."""
        query_width, key_width = self.widths.queries * self.size, self.size
        places = [
            Place(f"{part}.{name}", 0, query_width if part == "query" else key_width)
            for part in ("query", "key", "value")
            for name, _ in self.get_submodule(part).named_parameters()
        ]
        return [Group("heads", "head", self.widths.heads, (*places, Place("out.weight", 1, query_width, reads=True)))]

    def _split(self, x: Tensor) -> Tensor:
        """(batch, length, heads * dim) to (batch, heads, length, dim)."""
        batch, length, _ = x.shape
        return x.view(batch, length, -1, self.size).transpose(1, 2)

    def _rotated(self, x: Tensor, start: int | Tensor) -> Tensor:
        return x if self.rotation is None else rotated(x, start, *self.rotation)

    def _shared(self, x: Tensor) -> Tensor:
        """A head of keys or values for every query head."""
        return x if self.widths.queries == 1 else x.repeat_interleave(self.widths.queries, 1)


class GatedFeedForward(nn.Module):
    """Units times a gate each, SiLU of another layer's output (Shazeer 2020, arXiv 2002.05202); both are in `up`."""

    def __init__(self, width: int, units: int) -> None:
        super().__init__()
        self.up = nn.Linear(width, 2 * units)
        self.down = nn.Linear(units, width)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, length, width) to the same."""
        units, gates = self.up(x).chunk(2, -1)
        return self.down(F.silu(gates) * units)  # type: ignore[no-any-return]

    def groups(self) -> list[Group]:
        """Hidden units, each with its gate."""
        units = self.down.in_features
        rows = [Place(f"up.{p}", 0, start=start) for p in ("weight", "bias") for start in (0, units)]
        return [Group("", "ffn", units, (*rows, Place("down.weight", 1, reads=True)), minimum=8)]


class ChannelsNorm(nn.Module):
    """Normalises all channels and real frames of a clip together, then scales each channel.

    Its mean and variance are over `count` channels: cut ones count as zeros, as masked ones do, so that the others
    do not change.
    """

    def __init__(self, channels: int, count: int) -> None:
        super().__init__()
        self.count = count
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, frames: Tensor | None) -> Tensor:
        """(batch, channels, frames) to the same; `frames` (batch,) are real, None: all."""
        with torch.autocast(x.device.type, enabled=False):  # long sums
            x = x.float()
            length = x.new_full((len(x),), x.shape[2]) if frames is None else frames.float()
            real = 1.0 if frames is None else valid_positions(frames, x.shape[2])[:, None].float()
            size = (self.count * length)[:, None, None]
            mean = (x * real).sum((1, 2), keepdim=True) / size
            squares = ((x - mean) * real).square().sum((1, 2), keepdim=True)
            cut_channels = (self.count - x.shape[1]) * length[:, None, None] * mean.square()
            x = (x - mean) * torch.rsqrt((squares + cut_channels) / size + EPSILON)
            return x * self.weight[:, None] + self.bias[:, None]


class MoonshineEncoder(Encoder):
    """Three convolutions on the samples, layers that rotate queries and keys, norm."""

    def __init__(self, config: MoonshineConfig) -> None:
        super().__init__()
        (first, second), width = config.convs, config.width
        self.least = config.least
        self.conv1 = nn.Conv1d(1, first, TAPS[0], STRIDES[0], bias=False)
        self.conv1_norm = ChannelsNorm(first, config.norm_channels)
        self.conv2 = nn.Conv1d(first, second, TAPS[1], STRIDES[1])
        self.conv3 = nn.Conv1d(second, width, TAPS[2], STRIDES[2])
        self.layers = nn.ModuleList(
            EncoderLayer(
                RotaryAttention(config, w.attention, True),
                FeedForward(width, w.ffn),
                lambda: nn.LayerNorm(width, bias=False),
            )
            for w in config.encoder
        )
        self.merges = frame_merges(config.frame_merging, width if config.merge_learned else None, config.merge_similar)
        self.norm = nn.LayerNorm(width, bias=False)

    def embed(self, features: Tensor, frames: Tensor | None, drop: nn.Dropout) -> tuple[Tensor, Tensor | None]:
        """See `Encoder`; features are samples (batch, samples, 1). Positions of padding alone are masked."""
        x = features.transpose(1, 2)
        if x.shape[2] < self.least:
            x = F.pad(x, (0, self.least - x.shape[2]))
        lengths = None if frames is None else frames.to(x.device).clamp_min(self.least)
        x = torch.tanh(self.conv1(x))
        lengths = shorter(lengths, 0)
        x = F.gelu(self.conv2(self.conv1_norm(x, lengths)))
        x = F.gelu(self.conv3(x)).transpose(1, 2)
        lengths = shorter(shorter(lengths, 1), 2)
        return drop(x), None if lengths is None else valid_positions(lengths, x.shape[1])


def shorter(lengths: Tensor | None, conv: int) -> Tensor | None:
    """Frames after convolution number `conv`."""
    return None if lengths is None else (lengths - TAPS[conv]) // STRIDES[conv] + 1


class Moonshine(TokenNetwork):
    """Encoder, decoder and the config they were built from."""

    config: MoonshineConfig

    def __init__(self, config: MoonshineConfig) -> None:
        super().__init__(config)
        self.encoder = MoonshineEncoder(config)
        width = config.width
        layers = (
            DecoderLayer(
                RotaryAttention(config, w.self_attention, True),
                RotaryAttention(config, w.cross_attention, False),
                GatedFeedForward(width, w.ffn),
                lambda: nn.LayerNorm(width, bias=False),
            )
            for w in config.decoder
        )
        self.decoder = Decoder(config.vocabulary, width, config.text_context, layers, nn.LayerNorm(width, bias=False))

    def groups(self) -> list[Group]:
        """All prunable groups: layers, heads, FFN units, channels of the first two convolutions, token rows."""
        channels = (
            Place("encoder.conv1.weight", 0, early=True),
            Place("encoder.conv1_norm.weight", 0),
            Place("encoder.conv1_norm.bias", 0),
            Place("encoder.conv2.weight", 1, reads=True),
        )
        second = (
            Place("encoder.conv2.weight", 0),
            Place("encoder.conv2.bias", 0),
            Place("encoder.conv3.weight", 1, reads=True),
        )
        return [
            Group("encoder.conv1", "conv", self.config.convs[0], channels, minimum=8),
            Group("encoder.conv2", "conv", self.config.convs[1], second, minimum=8),
            self.vocabulary_group(),
            *layer_groups(self),
        ]

    def ungrouped(self) -> dict[str, str]:
        """See `Network.ungrouped`."""
        return {"encoder.conv3.bias": "one for every channel of the residual stream", "*": STREAM}
