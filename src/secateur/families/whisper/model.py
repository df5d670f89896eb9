"""Whisper, whole, with a width for every layer (Radford et al. 2022, arXiv 2212.04356).

Read it from top to bottom: attention, feed-forward, encoder, decoder, model; the layers around them, which other
encoder-decoders share, are in `families/seq2seq/`. Each layer declares its own prunable groups beside its forward pass.
Shapes: features `(batch, frames, mels)` at 10 ms, memory `(batch, positions, width)` at 20 ms, tokens
`(batch, length)`, logits `(batch, length, vocabulary)`.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...models.checkpoint import assign_weights
from ...models.groups import Group, Place, ResidualStream, TimeAxis
from ...models.low_rank import (
    EMBEDDING,
    PROJECTION,
    READOUT,
    bias_of,
    columns_of,
    embedding_rank_group,
    make_factored,
    rank_groups,
    rows_of,
)
from ...models.network import without_values
from ...models.token_network import Decoder, Encoder, TokenNetwork, valid_positions
from ..seq2seq.layers import DecoderLayer, EncoderLayer, attend, frame_merges, layer_groups
from .config import AttentionWidths, EncoderWidths, WhisperConfig


class Attention(nn.Module):
    """Multi-head attention whose queries/keys and values have their own dimensions per head."""

    def __init__(self, width: int, widths: AttentionWidths, scale: float) -> None:
        super().__init__()
        self.widths, self.scale = widths, scale
        self.query = nn.Linear(width, widths.heads * widths.query_key)
        self.key = nn.Linear(width, widths.heads * widths.query_key, bias=False)
        self.value = nn.Linear(width, widths.heads * widths.value)
        self.out = nn.Linear(widths.heads * widths.value, width)

    def split(self, x: Tensor) -> Tensor:
        """(batch, length, heads * dim) to (batch, heads, length, dim)."""
        batch, length, _ = x.shape
        return x.view(batch, length, self.widths.heads, -1).transpose(1, 2)

    def keys_values(self, x: Tensor, start: int = 0) -> tuple[Tensor, Tensor]:
        """Keys and values of `x` (batch, length, width), each (batch, heads, length, dim)."""
        return self.split(self.key(x)), self.split(self.value(x))

    def forward(
        self, x: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, causal: bool = False, start: int = 0
    ) -> Tensor:
        """Attend from `x` (batch, length, width), see `attend`."""
        return self.out(attend(self.split(self.query(x)), keys, values, mask, causal, self.scale))  # type: ignore[no-any-return]

    def scores(self, x: Tensor, keys: Tensor, mask: Tensor | None) -> Tensor:
        """Attention scores of `x` (batch, length, width) before the softmax: (batch, heads, length, keys)."""
        products = self.scale * self.split(self.query(x)) @ keys.transpose(2, 3)
        return products if mask is None else products.masked_fill(~mask, -torch.inf)

    def groups(self) -> list[Group]:
        """Heads; query/key dimensions (a zero query leaves the score unchanged); value dimensions."""
        h, qk, v = self.widths.heads, self.widths.query_key, self.widths.value
        query_key = [Place(rows_of(self, "query"), 0), Place(bias_of(self, "query"), 0), Place(rows_of(self, "key"), 0)]
        value = [Place(rows_of(self, "value"), 0), Place(bias_of(self, "value"), 0)]
        value.append(Place(columns_of(self, "out"), 1, reads=True))

        def wide(places: list[Place], width: int, masked: bool = True) -> list[Place]:
            return [Place(p.parameter, p.dim, width, masked=masked, reads=p.reads) for p in places]

        return [
            Group("heads", "head", h, tuple(wide(query_key, qk) + wide(value, v))),
            Group("query_key", "query_key", h * qk, tuple(query_key), blocks=h, minimum=4),
            Group("value", "value", h * v, tuple(value), blocks=h, minimum=4),
            *rank_groups(self),
        ]


class FeedForward(nn.Module):
    """Two linear layers with GELU between; GELU(0) = 0, so a zeroed unit is a removed unit."""

    def __init__(self, width: int, units: int) -> None:
        super().__init__()
        self.units = units
        self.up = nn.Linear(width, units)
        self.down = nn.Linear(units, width)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, length, width) to the same."""
        return self.down(F.gelu(self.up(x)))  # type: ignore[no-any-return]

    def groups(self) -> list[Group]:
        """Hidden units, and ranks where a matrix is factored."""
        up = (Place(rows_of(self, "up"), 0), Place(bias_of(self, "up"), 0))
        places = (*up, Place(columns_of(self, "down"), 1, reads=True))
        return [Group("", "ffn", self.units, places, minimum=8), *rank_groups(self)]


class WhisperEncoder(Encoder):
    """Two convolutions (the second halves the frame rate), sinusoidal positions, layers, norm.

    `outputs` are the channels before a projection to the width; 0: there is none.
    """

    def __init__(
        self, inputs: int, channels: int, width: int, context: int, layers: Sequence[EncoderWidths], scale: float,
        merging: Sequence[float] = (), learned: bool = False, similar: bool = False, outputs: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        first = outputs or width
        self.conv1 = nn.Conv1d(inputs, channels, 3, padding=1)
        self.conv2 = nn.Conv1d(channels, first, 3, stride=2, padding=1)
        self.positions = nn.Parameter(sinusoids(context, first), requires_grad=False)
        self.projection = nn.Linear(outputs, width, bias=False) if outputs else None
        self.layers = nn.ModuleList(
            EncoderLayer(Attention(width, w.attention, scale), FeedForward(width, w.ffn), lambda: nn.LayerNorm(width))
            for w in layers
        )
        self.merges = frame_merges(merging, width if learned else None, similar)
        self.norm = nn.LayerNorm(width)

    def embed(self, features: Tensor, frames: Tensor | None, drop: nn.Dropout) -> tuple[Tensor, Tensor | None]:
        """See `Encoder`. Padding is zeroed before each convolution."""
        x = features.transpose(1, 2)
        if frames is not None:
            real = valid_positions(frames.to(x.device), x.shape[2])
            x = x * real[:, None]
        x = F.gelu(self.conv1(x))
        if frames is not None:
            x = x * real[:, None]
        x = F.gelu(self.conv2(x)).transpose(1, 2)
        if x.shape[1] > self.positions.shape[0]:
            raise ValueError(f"{x.shape[1]} positions do not fit the audio context of {self.positions.shape[0]}")
        x = drop(x + self.positions[: x.shape[1]])
        valid = None
        if frames is not None:
            valid = valid_positions((frames.to(x.device) + 1) // 2, x.shape[1])
        return x if self.projection is None else self.projection(x), valid


class WhisperDecoder(Decoder):
    """A decoder with a learned position for every token of the context."""

    def __init__(self, config: WhisperConfig) -> None:
        width, scale = config.width, config.attention_scale
        layers = (
            DecoderLayer(
                Attention(width, w.self_attention, scale),
                Attention(width, w.cross_attention, scale),
                FeedForward(width, w.ffn),
                lambda: nn.LayerNorm(width),
            )
            for w in config.decoder
        )
        super().__init__(config.vocabulary, width, config.text_context, layers, nn.LayerNorm(width))
        self.positions = nn.Parameter(torch.zeros(config.text_context, width))

    def embed(self, tokens: Tensor, start: int = 0) -> Tensor:
        """See `Decoder`."""
        return super().embed(tokens) + self.positions[start : start + tokens.shape[1]]


class Whisper(TokenNetwork):
    """Encoder, decoder and the config they were built from."""

    config: WhisperConfig

    def __init__(self, config: WhisperConfig) -> None:
        super().__init__(config)
        self.encoder = WhisperEncoder(
            config.front_end.inputs, config.conv_channels, config.width, config.audio_context, config.encoder,
            config.attention_scale, config.frame_merging, config.merge_learned, config.merge_similar,
            config.conv_outputs,
        )  # fmt: skip
        self.decoder = WhisperDecoder(config)
        make_factored(self, config.ranks)
        if config.conv_outputs:
            self.decoder.token_readout = nn.Linear(config.width, config.ranks[EMBEDDING])

    def between_matrices(self) -> Whisper:
        """See `Network.between_matrices`: identities before the encoder's layers and around the decoder's."""
        config = self.config
        if config.conv_outputs:
            return copy.deepcopy(self)
        state = {name: value.clone() for name, value in self.state_dict().items()}
        projection = state.setdefault(f"{PROJECTION}.weight", torch.eye(config.width))
        state[f"{READOUT}.weight"] = projection.T.contiguous()
        state[f"{READOUT}.bias"] = torch.zeros(projection.shape[1])
        state["encoder.projection.weight"] = torch.eye(config.width)
        ranks = {**config.ranks, EMBEDDING: projection.shape[1]}
        with without_values():
            free = Whisper(replace(config, conv_outputs=config.width, ranks=ranks))
        assign_weights(free, state)
        return free.to(next(self.parameters()).device).train(self.training)

    def residual_streams(self) -> list[ResidualStream]:
        """The encoder's, and the decoder's."""
        readers = {**self.config.norm_readers, "decoder.norm": (READOUT,)}
        ends = (".out", ".down")
        writers = [name for name, _ in self.named_modules() if name.endswith(ends)]
        encoder = {norm: read for norm, read in readers.items() if norm.startswith("encoder.")}
        merges = tuple(name for name, _ in self.named_parameters() if name.startswith("encoder.merges."))
        return [
            ResidualStream(
                ("encoder.projection", *(w for w in writers if w.startswith("encoder."))), encoder, weights=merges
            ),
            ResidualStream(
                (PROJECTION, *(w for w in writers if w.startswith("decoder."))),
                {norm: read for norm, read in readers.items() if norm not in encoder},
                ("decoder.positions",),
            ),
        ]

    def time_axes(self) -> list[TimeAxis]:
        """Both convolutions and the encoder's positions."""
        return [
            TimeAxis("encoder.conv1.weight", 2, "kernel"),
            TimeAxis("encoder.conv2.weight", 2, "kernel"),
            TimeAxis("encoder.positions", 0, "position"),
        ]

    def groups(self) -> list[Group]:
        """All prunable groups: layers, heads, dimensions, FFN units, convolution channels, inputs, rows, contexts."""
        c = self.config
        conv = (
            Place("encoder.conv1.weight", 0),
            Place("encoder.conv1.bias", 0),
            Place("encoder.conv2.weight", 1, reads=True),
        )
        conv2 = (
            Place("encoder.conv2.weight", 0),
            Place("encoder.conv2.bias", 0),
            Place("encoder.positions", 1, masked=False),
            Place("encoder.projection.weight", 1, reads=True),
        )
        return [
            Group("encoder.mel", "mel", c.front_end.inputs, (Place("encoder.conv1.weight", 1, reads=True),), minimum=8),
            Group("encoder.conv", "conv", c.conv_channels, conv, minimum=8),
            *([Group("encoder.conv2", "conv", c.conv_outputs, conv2, minimum=8)] if c.conv_outputs else []),
            Group(
                "encoder.positions", "audio_context", c.audio_context, (Place("encoder.positions", 0),), maskable=False
            ),
            Group(
                "decoder.positions", "text_context", c.text_context, (Place("decoder.positions", 0),), maskable=False
            ),
            self.vocabulary_group(),
            *([embedding_rank_group(c.ranks[EMBEDDING], c.conv_outputs > 0)] if EMBEDDING in c.ranks else []),
            *layer_groups(self),
        ]


def sinusoids(length: int, width: int, longest: float = 10000.0) -> Tensor:
    """Sinusoidal positions (length, width), sines first (Vaswani et al. 2017, as Whisper orders them)."""
    if torch.get_default_device().type == "meta":  # see models.meta
        return torch.empty(length, width)
    rates = torch.exp(-math.log(longest) / (width // 2 - 1) * torch.arange(width // 2))
    angles = torch.arange(length)[:, None] * rates[None]
    return torch.cat([angles.sin(), angles.cos()], 1)
