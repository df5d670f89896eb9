"""Encoder-decoder networks: an encoder, an autoregressive decoder with a cache, tied token embeddings."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ..base.errors import SecateurError
from ..decode.session import TokenConfig
from .groups import Group, Place
from .network import Network


class Encoder(nn.Module):
    """Layers and a norm, after whatever makes `embed` of features; between them `merges` (layers + 1), or none."""

    layers: nn.ModuleList
    merges: nn.ModuleList
    norm: nn.Module

    def embed(self, features: Tensor, frames: Tensor | None, drop: nn.Dropout) -> tuple[Tensor, Tensor | None]:
        """The first stage's output for features, (batch, positions, width), and the attention mask of its positions."""
        raise NotImplementedError

    def stage(
        self, number: int, x: Tensor, valid: Tensor | None, drop: nn.Dropout, at: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Layer `number` - 1 (stage 0 has none), then the frames merged after it: positions, their mask, and `at`
        (1 or batch, positions): of the first positions the first in each, None while nothing is merged."""
        if number:
            mask = None if valid is None else valid[:, None, None, :]
            x = self.layers[number - 1](x, mask, drop, 0 if at is None else at)
        merge: Any = self.merges[number] if len(self.merges) else None
        return (x, valid, at) if merge is None else merge.after(x, valid, at)

    def forward(
        self, features: Tensor, frames: Tensor | None, drop: nn.Dropout, places: list[Tensor] | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Encode `features` (batch, frames, inputs); `frames` (batch,) are valid in each row.

        Returns the encoder output (batch, positions, width) and its mask (batch, positions), True where it is valid.
        Rows of a padded batch equal the same clips run alone. `places`, if given, gets the position (batch, first
        positions) that each of the first positions went into, where similar ones are merged.
        """
        x, valid = self.embed(features, frames, drop)
        length, at = x.shape[1], None
        for number in range(len(self.layers) + 1):
            x, valid, at = self.stage(number, x, valid, drop, at)
        last: Any = self.merges[-1] if len(self.merges) else None
        if places is not None and at is not None and last.similar:
            places.append(last.places(at, length))
        return self.norm(x), valid


class Decoder(nn.Module):
    """Token embedding, layers, norm; the output layer is the token embedding, transposed.

    `context` is the number of tokens it holds. A family with positions of its own adds them in `embed`.
    """

    vocabulary_mask: Tensor | None
    token_projection: nn.Linear | None  # from rows of a lower rank to the width; None: the rows have the width
    token_readout: nn.Linear | None  # from the width to rows for the logits; None: the projection, transposed

    def __init__(self, vocabulary: int, width: int, context: int, layers: Iterable[nn.Module], norm: nn.Module) -> None:
        super().__init__()
        self.context = context
        self.token_embedding = nn.Embedding(vocabulary, width)
        self.token_projection = self.token_readout = None
        self.layers = nn.ModuleList(layers)
        self.norm = norm
        # A zero row would give a logit of 0, which excludes nothing: masked rows need minus infinity.
        self.register_buffer("vocabulary_mask", None, persistent=False)

    def embed(self, tokens: Tensor, start: int = 0) -> Tensor:
        """The first layer's input (batch, length, width) for tokens that follow `start` others."""
        rows: Tensor = self.token_embedding(tokens)
        return rows if self.token_projection is None else self.token_projection(rows)

    def logits(self, x: Tensor) -> Tensor:
        """Logits (..., vocabulary) of `x` (..., width), after the norm: the embedding, transposed."""
        if self.token_readout is not None:
            x = self.token_readout(x)
        elif self.token_projection is not None:
            x = x @ self.token_projection.weight
        return x @ self.token_embedding.weight.T

    def start(self, memory: Tensor, valid: Tensor | None) -> DecoderCache:
        """A new cache for the encoder output `memory` (batch, positions, width); cross-attention's keys and values are
        in it."""
        mask = None if valid is None else valid[:, None, None, :]
        return DecoderCache([LayerCache(*layer.cross_attention.keys_values(memory)) for layer in self.layers], mask)  # type: ignore[union-attr, operator]

    def forward(self, tokens: Tensor, cache: DecoderCache, drop: nn.Dropout, last_only: bool = False) -> Tensor:
        """Logits (batch, length, vocabulary) after `tokens` (batch, length), which follow those in `cache`."""
        end = cache.length + tokens.shape[1]
        if end > self.context:
            raise ValueError(f"{end} tokens do not fit the text context of {self.context}")
        x = drop(self.embed(tokens, cache.length))
        for layer, layer_cache in zip(self.layers, cache.layers, strict=True):
            x = layer(x, layer_cache, cache.memory_mask, drop)
        cache.length = end
        x = self.norm(x[:, -1:] if last_only else x)
        logits = self.logits(x)
        if self.vocabulary_mask is not None:
            logits = logits.masked_fill(~self.vocabulary_mask, -math.inf)
        return logits


class TokenNetwork(Network):
    """Base of the encoder-decoders."""

    encoder: Encoder
    decoder: Decoder

    def encode(self, features: Tensor, frames: Tensor | None = None) -> DecoderCache:
        """Encode `features` (batch, frames, inputs), of which `frames` (batch,) are valid, for `step` to decode
        from."""
        places: list[Tensor] = []
        memory, valid = self.encoder(features, frames, self.dropout, places)  # called, so that hooks on it run
        cache = self.decoder.start(memory, valid)
        cache.frames = places[0] if places else None
        return cache

    def step(self, tokens: Tensor, cache: DecoderCache) -> Tensor:
        """Logits (batch, vocabulary) of what follows `tokens` (batch, length); `cache` is extended."""
        return self.decoder(tokens, cache, self.dropout, last_only=True)[:, -1]  # type: ignore[no-any-return]

    def forward(self, features: Tensor, frames: Tensor | None, tokens: Tensor) -> Tensor:
        """Teacher-forced logits (batch, length, vocabulary)."""
        return self.decoder(tokens, self.encode(features, frames), self.dropout)  # type: ignore[no-any-return]

    def called_apart(self) -> list[nn.Module]:
        """Keys and values of cross-attention, which `Decoder.start` computes."""
        attentions: list[Any] = [layer.cross_attention for layer in self.decoder.layers]
        return [part for attention in attentions for part in (attention.key, attention.value)]

    def mask_vocabulary(self, kept: Tensor) -> None:
        """Give the token rows that are not `kept` (rows,) a logit of minus infinity."""
        self.decoder.vocabulary_mask = kept.to(self.decoder.token_embedding.weight.device)

    def check_unmasked(self) -> None:
        """See `Network.check_unmasked`."""
        if self.decoder.vocabulary_mask is not None:
            raise SecateurError("vocabulary rows are masked, not removed: shrink the model before exporting it")

    def vocabulary_group(self) -> Group:
        """The token rows, which the output layer shares."""
        rows = (Place("decoder.token_embedding.weight", 0, masked=False),)
        return Group("vocabulary", "vocabulary", self.config.vocabulary, rows)


def valid_positions(counts: Tensor, length: int) -> Tensor:
    """True (batch, length) for the first `counts` (batch,) of each row."""
    return torch.arange(length, device=counts.device) < counts[:, None]


@dataclass
class LayerCache:
    """Keys and values of one decoder layer, each (batch, heads, length, dim): of the audio, and of past tokens."""

    cross_keys: Tensor
    cross_values: Tensor
    keys: Tensor | None = None
    values: Tensor | None = None

    @property
    def past(self) -> int:
        """How many tokens are in the cache."""
        return 0 if self.keys is None else self.keys.shape[2]

    def extend(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Append along time and return all keys and values so far."""
        if self.keys is not None and self.values is not None:
            keys, values = torch.cat([self.keys, keys], 2), torch.cat([self.values, values], 2)
        self.keys, self.values = keys, values
        return keys, values

    def pick(self, rows: Tensor) -> LayerCache:
        """The cache of the batch rows `rows` (beam search reorders, finished rows leave)."""
        return LayerCache(
            self.cross_keys[rows],
            self.cross_values[rows],
            None if self.keys is None else self.keys[rows],
            None if self.values is None else self.values[rows],
        )


@dataclass
class DecoderCache:
    """One `LayerCache` a layer, the attention mask of the encoder output, and how many tokens are cached."""

    layers: list[LayerCache]
    memory_mask: Tensor | None = None
    length: int = field(default=0)
    frames: Tensor | None = None  # (batch, first positions) the position that each went into, of similar ones merged

    def pick(self, rows: Tensor) -> DecoderCache:
        """The cache of the batch rows `rows`."""
        mask = None if self.memory_mask is None else self.memory_mask[rows]
        frames = None if self.frames is None else self.frames[rows]
        return DecoderCache([layer.pick(rows) for layer in self.layers], mask, self.length, frames)


def encoder_inputs(
    extract: nn.Module, audio: Tensor, lengths: Tensor, config: TokenConfig, input_mask: Tensor | None = None
) -> tuple[Tensor, Tensor | None]:
    """Features (batch, frames, inputs) of `audio` (batch, samples), of which `lengths` (batch,) are real, and how many
    frames of each row are (None: all, silence included).

    `extract` is the front-end's `extractor`, `input_mask` the inputs that are not masked (`Network.input_mask`).
    """
    audio, lengths = audio[:, : config.window], lengths.clamp_max(config.window)
    if config.padded:
        features, _ = extract(audio, lengths, pad_to=config.window, input_mask=input_mask)
        return features, None
    features, frames = extract(audio, lengths, input_mask=input_mask)
    return features, frames
