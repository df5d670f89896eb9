"""The decoder's key-value cache: cross-attention's of the audio, computed once a clip, and self-attention's so far."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor


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
