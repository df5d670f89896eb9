"""A torch encoder-decoder as a decoding session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..decode.session import Floats, Ints, TokenConfig
from .cache import DecoderCache, LayerCache
from .frame_merging import spread
from .token_network import TokenNetwork


@dataclass(frozen=True)
class TorchState:
    """The cache after some tokens, and which encoded clip each batch row (batch,) belongs to."""

    cache: DecoderCache
    clips: Ints


class TorchSession:
    """Runs `model` for `secateur.decode`, on the device the model is on."""

    shows_attention = True

    def __init__(self, model: TokenNetwork) -> None:
        self.model = model.eval()
        self.device = next(model.parameters()).device

    @property
    def config(self) -> TokenConfig:
        """The model's config."""
        return self.model.config  # type: ignore[no-any-return]

    @torch.inference_mode()
    def encode(self, features: Floats, frames: Ints | None) -> TorchState:
        """See `DecoderSession.encode`."""
        counts = None if frames is None else torch.from_numpy(frames).to(self.device)
        cache = self.model.encode(torch.from_numpy(features).to(self.device), counts)
        return TorchState(cache, np.arange(len(features)))

    @torch.inference_mode()
    def step(self, tokens: Ints, state: TorchState) -> tuple[Floats, TorchState]:
        """See `DecoderSession.step`."""
        cache = same(state.cache)
        logits = self.model.step(torch.from_numpy(tokens).to(self.device), cache)
        return logits.float().cpu().numpy(), TorchState(cache, state.clips)

    @torch.inference_mode()
    def attention(self, tokens: Ints, state: TorchState) -> Floats:
        """See `DecoderSession.attention`."""
        scores: list[Tensor] = []

        def record(module: Any, inputs: tuple[Tensor, ...]) -> None:
            x, keys, _, mask = inputs
            scores.append(module.scores(x, keys, mask))

        layers: list[Any] = [layer.cross_attention for layer in self.model.decoder.layers]
        hooks = [layer.register_forward_pre_hook(record) for layer in layers]
        try:
            self.model.step(torch.from_numpy(tokens).to(self.device), same(state.cache))
        finally:
            for hook in hooks:
                hook.remove()
        weights: Floats = torch.cat(scores, 1).softmax(-1).float().cpu().numpy()
        frames = state.cache.frames
        return weights if frames is None else spread(weights, frames.cpu().numpy())

    @torch.inference_mode()
    def pick(self, state: TorchState, rows: Ints) -> TorchState:
        """See `DecoderSession.pick`."""
        index = torch.from_numpy(rows).to(self.device)
        clips = state.clips[rows]
        if not np.array_equal(clips, state.clips):
            return TorchState(state.cache.pick(index), clips)
        # Beams are reordered within their clip: the audio's keys and values, by far the largest part, stay as they are.
        layers = [
            LayerCache(layer.cross_keys, layer.cross_values, _rows(layer.keys, index), _rows(layer.values, index))
            for layer in state.cache.layers
        ]
        return TorchState(DecoderCache(layers, state.cache.memory_mask, state.cache.length, state.cache.frames), clips)


def _rows(values: Tensor | None, index: Tensor) -> Tensor | None:
    return None if values is None else values[index]


def same(cache: DecoderCache) -> DecoderCache:
    """A shallow copy of `cache`, which can be extended without changing it."""
    layers = [LayerCache(x.cross_keys, x.cross_values, x.keys, x.values) for x in cache.layers]
    return DecoderCache(layers, cache.memory_mask, cache.length, cache.frames)
