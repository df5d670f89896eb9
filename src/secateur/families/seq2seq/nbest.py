"""N-best lists of many clips at once, on the device: beam search in torch with one batch of hypotheses.

`decode.search` is what recognises; this one serves training, where all clips of a batch share prompt length and limit.
Hypothesis `h` of clip `r` is row `h * clips + r`: so cross-attention reads a clip's keys once for all its hypotheses
(`families.seq2seq.layers.attend`).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ...models.cache import DecoderCache, LayerCache
from ...models.token_network import TokenNetwork
from .greedy import suppression_bias

LOOK = 8  # steps between two looks at whether all have ended: each waits for the device


@dataclass(frozen=True)
class NBest:
    """`ids` (hypotheses, clips, length), filled up with the end token, the likeliest hypothesis first, and their log
    probabilities (hypotheses, clips)."""

    ids: Tensor
    scores: Tensor


def clips_of(cache: DecoderCache, rows: Tensor) -> DecoderCache:
    """A cache with only the audio of the clips `rows`, before the first token."""
    layers = [LayerCache(layer.cross_keys[rows], layer.cross_values[rows]) for layer in cache.layers]
    return DecoderCache(layers, None if cache.memory_mask is None else cache.memory_mask[rows])


@torch.no_grad()
def nbest(model: TokenNetwork, audio: DecoderCache, prompts: Tensor, size: int, limit: int) -> NBest:
    """The `size` likeliest token rows of every clip in `audio`, each at most `limit` tokens after `prompts` (clips, n).

    Hypotheses that have ended stay in the beam with their score. Special tokens and the suppress lists are excluded, as
    in decoding.
    """
    end = model.config.tokens.end
    clips, device = len(prompts), prompts.device
    suppressed, at_start = suppression_bias(model, device)
    layers = [LayerCache(layer.cross_keys, layer.cross_values) for layer in audio.layers]
    cache = DecoderCache(layers, audio.memory_mask)
    first = F.log_softmax(model.step(prompts, cache).float() + at_start, -1)
    size = min(size, first.shape[1])
    scores, chosen = first.topk(size, -1)  # (clips, size)
    scores, chosen = scores.T.contiguous(), chosen.T.contiguous()
    ids = torch.full((size, clips, limit), end, device=device)
    ids[..., 0] = chosen
    everyone = torch.arange(clips, device=device)
    _pick(cache, everyone.repeat(size))
    for position in range(1, limit):
        done = chosen == end
        if position % LOOK == 0 and bool(done.all()):
            break
        logits = model.step(chosen.reshape(-1, 1), cache).float() + suppressed
        each = F.log_softmax(logits, -1).view(size, clips, -1)
        gained, tokens = each.topk(size, -1)  # (size, clips, size)
        # What has ended goes on as itself alone.
        gained = gained.masked_fill(done[..., None], -torch.inf)
        gained[..., 0] = gained[..., 0].masked_fill(done, 0.0)
        tokens = tokens.masked_fill(done[..., None], end)
        total = (scores[..., None] + gained).transpose(0, 1).reshape(clips, -1)
        scores, best = total.topk(size, -1)
        parent, chosen = (best // size).T, tokens.transpose(0, 1).reshape(clips, -1).gather(1, best).T.contiguous()
        scores = scores.T.contiguous()
        ids = ids.gather(0, parent[..., None].expand_as(ids))
        ids[..., position] = chosen
        _pick(cache, (parent * clips + everyone).reshape(-1))
    return NBest(ids, scores)


def _pick(cache: DecoderCache, rows: Tensor) -> None:
    """Reorder the self-attention part of `cache` in place."""
    for layer in cache.layers:
        if layer.keys is not None and layer.values is not None:
            layer.keys, layer.values = layer.keys[rows], layer.values[rows]
