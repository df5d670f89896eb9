"""Whisper, whole, with a width for every layer (Radford et al. 2022, arXiv 2212.04356).

Read it from top to bottom: attention, feed-forward, encoder, decoder, model. Each layer declares its own prunable
groups beside its forward pass. Shapes: features `(batch, frames, mels)` at 10 ms, memory `(batch, positions, width)`
at 20 ms, tokens `(batch, length)`, logits `(batch, length, vocabulary)`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..groups import Group, Place, TimeAxis, prefixed
from ..network import Recogniser
from .config import AttentionWidths, DecoderWidths, EncoderWidths, WhisperConfig


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

    def keys_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of `x` (batch, length, width), each (batch, heads, length, dim)."""
        return self.split(self.key(x)), self.split(self.value(x))

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, causal: bool = False) -> Tensor:
        """Attend from `x` (batch, length, width); `mask` is True where attention may look.

        `x` may have several times the rows of `keys`, the first for all of them, then the second: variants that hear
        the same audio, which is then read once for all.
        """
        queries, times = self.split(self.query(x)), len(x) // len(keys)
        if times > 1:
            queries = queries.reshape(times, -1, *queries.shape[1:]).permute(1, 2, 0, 3, 4).flatten(2, 3)
        attended = F.scaled_dot_product_attention(
            queries, keys, values, attn_mask=mask, is_causal=causal, scale=self.scale
        )
        if times > 1:
            attended = attended.reshape(*queries.shape[:2], times, -1, attended.shape[3])
            attended = attended.permute(2, 0, 1, 3, 4).flatten(0, 1)
        return self.out(attended.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def groups(self) -> list[Group]:
        """Heads; query/key dimensions (a zero query leaves the score unchanged); value dimensions."""
        h, qk, v = self.widths.heads, self.widths.query_key, self.widths.value
        query_key = [Place("query.weight", 0), Place("query.bias", 0), Place("key.weight", 0)]
        value = [Place("value.weight", 0), Place("value.bias", 0), Place("out.weight", 1, reads=True)]

        def wide(places: list[Place], width: int, masked: bool = True) -> list[Place]:
            return [Place(p.parameter, p.dim, width, masked=masked, reads=p.reads) for p in places]

        return [
            Group("heads", "head", h, tuple(wide(query_key, qk) + wide(value, v))),
            Group("query_key", "query_key", h * qk, tuple(query_key), blocks=h, minimum=4),
            Group("value", "value", h * v, tuple(value), blocks=h, minimum=4),
        ]


class FeedForward(nn.Module):
    """Two linear layers with GELU between; GELU(0) = 0, so a zeroed unit is a removed unit."""

    def __init__(self, width: int, units: int) -> None:
        super().__init__()
        self.up = nn.Linear(width, units)
        self.down = nn.Linear(units, width)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, length, width) to the same."""
        return self.down(F.gelu(self.up(x)))  # type: ignore[no-any-return]

    def groups(self) -> list[Group]:
        """Hidden units."""
        places = (Place("up.weight", 0), Place("up.bias", 0), Place("down.weight", 1, reads=True))
        return [Group("", "ffn", self.up.out_features, places, minimum=8)]


class EncoderLayer(nn.Module):
    """Pre-norm self-attention and feed-forward."""

    def __init__(self, width: int, widths: EncoderWidths, scale: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(width, widths.attention, scale)
        self.ffn_norm = nn.LayerNorm(width)
        self.ffn = FeedForward(width, widths.ffn)

    def forward(self, x: Tensor, mask: Tensor | None, drop: nn.Dropout) -> Tensor:
        """(batch, positions, width) to the same."""
        normed = self.attention_norm(x)
        x = x + drop(self.attention(normed, *self.attention.keys_values(normed), mask))
        return x + drop(self.ffn(self.ffn_norm(x)))  # type: ignore[no-any-return]

    def groups(self) -> list[Group]:
        """Those of the attention and the feed-forward."""
        return prefixed(self.attention.groups(), "attention") + prefixed(self.ffn.groups(), "ffn")


class DecoderLayer(nn.Module):
    """Pre-norm causal self-attention, cross-attention to the encoder, feed-forward."""

    def __init__(self, width: int, widths: DecoderWidths, scale: float) -> None:
        super().__init__()
        self.self_attention_norm = nn.LayerNorm(width)
        self.self_attention = Attention(width, widths.self_attention, scale)
        self.cross_attention_norm = nn.LayerNorm(width)
        self.cross_attention = Attention(width, widths.cross_attention, scale)
        self.ffn_norm = nn.LayerNorm(width)
        self.ffn = FeedForward(width, widths.ffn)

    def forward(self, x: Tensor, cache: LayerCache, memory_mask: Tensor | None, drop: nn.Dropout) -> Tensor:
        """(batch, length, width) to the same; `cache` is read and extended."""
        normed = self.self_attention_norm(x)
        keys, values = cache.extend(*self.self_attention.keys_values(normed))
        length, past = x.shape[1], keys.shape[2] - x.shape[1]
        causal = None
        if past and length > 1:  # several new tokens after old ones: each sees all old ones and its predecessors
            causal = torch.ones(length, past + length, dtype=torch.bool, device=x.device).tril(past)
        x = x + drop(self.self_attention(normed, keys, values, causal, causal=not past and length > 1))
        normed = self.cross_attention_norm(x)
        x = x + drop(self.cross_attention(normed, cache.cross_keys, cache.cross_values, memory_mask))
        return x + drop(self.ffn(self.ffn_norm(x)))  # type: ignore[no-any-return]

    def groups(self) -> list[Group]:
        """Those of both attentions and the feed-forward."""
        return (
            prefixed(self.self_attention.groups(), "self_attention")
            + prefixed(self.cross_attention.groups(), "cross_attention")
            + prefixed(self.ffn.groups(), "ffn")
        )


@dataclass
class LayerCache:
    """Keys and values of one decoder layer, each (batch, heads, length, dim): of the audio, and of past tokens."""

    cross_keys: Tensor
    cross_values: Tensor
    keys: Tensor | None = None
    values: Tensor | None = None

    def extend(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Append along time and return everything so far."""
        if self.keys is not None and self.values is not None:
            keys, values = torch.cat([self.keys, keys], 2), torch.cat([self.values, values], 2)
        self.keys, self.values = keys, values
        return keys, values

    def pick(self, rows: Tensor) -> LayerCache:
        """The cache of the batch rows `rows` (beam search reorders, finished rows leave)."""
        return LayerCache(
            self.cross_keys[rows], self.cross_values[rows],
            None if self.keys is None else self.keys[rows], None if self.values is None else self.values[rows],
        )  # fmt: skip


@dataclass
class Cache:
    """What decoding remembers: one `LayerCache` a layer, the memory's mask, and how many tokens went in."""

    layers: list[LayerCache]
    memory_mask: Tensor | None = None
    length: int = field(default=0)

    def pick(self, rows: Tensor) -> Cache:
        """The cache of the batch rows `rows`."""
        mask = None if self.memory_mask is None else self.memory_mask[rows]
        return Cache([layer.pick(rows) for layer in self.layers], mask, self.length)


class Encoder(nn.Module):
    """Two convolutions (the second halves the frame rate), sinusoidal positions, layers, norm."""

    def __init__(self, config: WhisperConfig) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(config.front_end.inputs, config.conv_channels, 3, padding=1)
        self.conv2 = nn.Conv1d(config.conv_channels, config.width, 3, stride=2, padding=1)
        self.positions = nn.Parameter(sinusoids(config.audio_context, config.width), requires_grad=False)
        self.layers = nn.ModuleList(EncoderLayer(config.width, w, config.attention_scale) for w in config.encoder)
        self.norm = nn.LayerNorm(config.width)

    def forward(self, mel: Tensor, frames: Tensor | None, drop: nn.Dropout) -> tuple[Tensor, Tensor | None]:
        """Encode `mel` (batch, frames, mels); `frames` (batch,) says how many are real in each row.

        Returns the memory (batch, positions, width) and its mask (batch, positions), True where it is real. Rows of
        a padded batch equal the same clips run alone: padding is zeroed where the convolutions would see it.
        """
        x, valid = self.embed(mel, frames, drop)
        mask = None if valid is None else valid[:, None, None, :]
        for layer in self.layers:
            x = layer(x, mask, drop)
        return self.norm(x), valid

    def embed(self, mel: Tensor, frames: Tensor | None, drop: nn.Dropout) -> tuple[Tensor, Tensor | None]:
        """What the first layer reads (batch, positions, width), and the memory's mask."""
        x = mel.transpose(1, 2)
        if frames is not None:
            real = torch.arange(x.shape[2], device=x.device) < frames[:, None]
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
            valid = torch.arange(x.shape[1], device=x.device) < ((frames + 1) // 2)[:, None]
        return x, valid


class Decoder(nn.Module):
    """Token and position embeddings, layers, norm; the output layer is the token embedding, transposed."""

    vocabulary_mask: Tensor | None

    def __init__(self, config: WhisperConfig) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(config.vocabulary, config.width)
        self.positions = nn.Parameter(torch.zeros(config.text_context, config.width))
        self.layers = nn.ModuleList(DecoderLayer(config.width, w, config.attention_scale) for w in config.decoder)
        self.norm = nn.LayerNorm(config.width)
        # A zero row would give a logit of 0, not "impossible": masked rows need minus infinity.
        self.register_buffer("vocabulary_mask", None, persistent=False)

    def start(self, memory: Tensor, valid: Tensor | None) -> Cache:
        """A fresh cache for `memory` (batch, positions, width): cross-attention's keys and values are computed once."""
        mask = None if valid is None else valid[:, None, None, :]
        return Cache([LayerCache(*layer.cross_attention.keys_values(memory)) for layer in self.layers], mask)  # type: ignore[union-attr, operator]

    def forward(self, tokens: Tensor, cache: Cache, drop: nn.Dropout, last_only: bool = False) -> Tensor:
        """Logits (batch, length, vocabulary) after `tokens` (batch, length), which follow those in `cache`."""
        end = cache.length + tokens.shape[1]
        if end > self.positions.shape[0]:
            raise ValueError(f"{end} tokens do not fit the text context of {self.positions.shape[0]}")
        x = drop(self.token_embedding(tokens) + self.positions[cache.length : end])
        for layer, layer_cache in zip(self.layers, cache.layers, strict=True):
            x = layer(x, layer_cache, cache.memory_mask, drop)
        cache.length = end
        x = self.norm(x[:, -1:] if last_only else x)
        logits: Tensor = x @ self.token_embedding.weight.T
        if self.vocabulary_mask is not None:
            logits = logits.masked_fill(~self.vocabulary_mask, -math.inf)
        return logits


class Whisper(Recogniser):
    """Encoder, decoder and the config they were built from."""

    config: WhisperConfig

    def __init__(self, config: WhisperConfig) -> None:
        super().__init__(config)
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)

    def encode(self, mel: Tensor, frames: Tensor | None = None) -> Cache:
        """Encode `mel` (batch, frames, mels) and return a cache that `step` decodes from."""
        memory, valid = self.encoder(mel, frames, self.dropout)
        return self.decoder.start(memory, valid)

    def step(self, tokens: Tensor, cache: Cache) -> Tensor:
        """Logits (batch, vocabulary) of what follows `tokens` (batch, length); `cache` is extended."""
        return self.decoder(tokens, cache, self.dropout, last_only=True)[:, -1]  # type: ignore[no-any-return]

    def forward(self, mel: Tensor, frames: Tensor | None, tokens: Tensor) -> Tensor:
        """Teacher-forced logits (batch, length, vocabulary)."""
        return self.decoder(tokens, self.encode(mel, frames), self.dropout)  # type: ignore[no-any-return]

    def mask_vocabulary(self, kept: Tensor) -> None:
        """Give the token rows that are not `kept` (rows,) a logit of minus infinity."""
        self.decoder.vocabulary_mask = kept.to(self.decoder.token_embedding.weight.device)

    def over_time(self) -> list[TimeAxis]:
        """Both convolutions and the encoder's positions."""
        return [
            TimeAxis("encoder.conv1.weight", 2, "kernel"), TimeAxis("encoder.conv2.weight", 2, "kernel"),
            TimeAxis("encoder.positions", 0, "position"),
        ]  # fmt: skip

    def groups(self) -> list[Group]:
        """All that may go: layers, heads, dimensions, FFN units, convolution channels, inputs, rows, contexts."""
        c = self.config
        conv = (
            Place("encoder.conv1.weight", 0),
            Place("encoder.conv1.bias", 0),
            Place("encoder.conv2.weight", 1, reads=True),
        )
        found = [
            Group("encoder.mel", "mel", c.front_end.inputs, (Place("encoder.conv1.weight", 1, reads=True),), minimum=8),
            Group("encoder.conv", "conv", c.conv_channels, conv, minimum=8),
            Group(
                "encoder.positions", "audio_context", c.audio_context, (Place("encoder.positions", 0),), maskable=False
            ),
            Group(
                "decoder.positions", "text_context", c.text_context, (Place("decoder.positions", 0),), maskable=False
            ),
            Group(
                "vocabulary", "vocabulary", c.vocabulary, (Place("decoder.token_embedding.weight", 0, masked=False),)
            ),
        ]
        for side, branches in (("encoder", ("attention",)), ("decoder", ("self_attention", "cross_attention"))):
            layers = getattr(self, side).layers
            # A layer whose every branch adds zero is no layer.
            ends = [f"{branch}.out.{p}" for branch in branches for p in ("weight", "bias")]
            ends += ["ffn.down.weight", "ffn.down.bias"]
            places = tuple(Place(f"{side}.layers.{i}.{end}", 0, unit=i) for i in range(len(layers)) for end in ends)
            found.append(Group(f"{side}.layers", "layer", len(layers), places))
            for i, layer in enumerate(layers):
                found += prefixed(layer.groups(), f"{side}.layers.{i}")
        return found


def sinusoids(length: int, width: int, longest: float = 10000.0) -> Tensor:
    """Sinusoidal positions (length, width), sines first (Vaswani et al. 2017, as Whisper orders them)."""
    rates = torch.exp(-math.log(longest) / (width // 2 - 1) * torch.arange(width // 2))
    angles = torch.arange(length)[:, None] * rates[None]
    return torch.cat([angles.sin(), angles.cos()], 1)
