"""Greedy decoding of several variants of a model in one batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ...models.seq2seq.cache import Cache, LayerCache
from ...models.seq2seq.greedy import forbidden, most_tokens, said
from ...models.seq2seq.network import TokenRecogniser
from .gates import Gates

ASK = 8  # steps between questions whether rows are done: asking a GPU waits for it


@torch.no_grad()
def greedy_together(
    model: TokenRecogniser, cache: Cache, clips: int, variants: int, prompt: list[int], gates: Gates,
    kept: Sequence[Tensor | None],
) -> list[list[int]]:  # fmt: skip
    """Token rows, the first variant's of all `clips` first; each is what `greedy` says with that variant alone.

    `cache` has the audio's keys and values of `clips` rows, which all variants share, or of every variant and clip.
    `kept` (vocabulary,) are the rows that a variant may say. Rows that are done leave the batch as soon as half of it
    is done, so that one that goes round in a loop does not hold up the others.
    """
    tokens, count = model.config.tokens, clips * variants
    device = cache.layers[0].cross_keys.device
    most = most_tokens(model, prompt)
    banned, banned_first = forbidden(model, device)
    lost = None
    if any(rows is not None for rows in kept):
        lost = torch.zeros(variants, model.config.vocabulary, device=device)
        for number, rows in enumerate(kept):
            if rows is not None:
                lost[number, ~rows.to(device)] = -torch.inf
    result = torch.full((count, most), tokens.end, device=device)
    active = torch.arange(count, device=device)  # the row of the result that each row of the batch is
    step = torch.tensor([prompt], device=device).expand(count, -1)
    done = torch.zeros(count, dtype=torch.bool, device=device)
    for i in range(most):
        logits = model.step(step, cache).float() + (banned if i else banned_first)
        if lost is not None:
            logits += lost[active // clips]
        chosen = logits.argmax(-1).masked_fill(done, tokens.end)
        result[active, i] = chosen
        done |= chosen == tokens.end
        if i % ASK == ASK - 1:
            left = int((~done).sum())
            if not left:
                break
            if left <= len(active) // 2 and left <= len(cache.layers[0].cross_keys):
                rows = (~done).nonzero().flatten()
                cache = _picked(cache, rows, active, clips)
                active, chosen, done = active[rows], chosen[rows], done[rows]
                gates.over(active // clips)
        step = chosen[:, None]
    return said(result, tokens.end)


def _picked(cache: Cache, rows: Tensor, active: Tensor, clips: int) -> Cache:
    """The cache of `rows` of the batch alone; what they shared is theirs from then on."""
    shared = len(cache.layers[0].cross_keys) < len(active)
    audio = active[rows] % clips if shared else rows
    layers = [
        LayerCache(
            layer.cross_keys[audio], layer.cross_values[audio],
            None if layer.keys is None else layer.keys[rows], None if layer.values is None else layer.values[rows],
        )
        for layer in cache.layers
    ]  # fmt: skip
    mask = None if cache.memory_mask is None else cache.memory_mask[audio]
    return Cache(layers, mask, cache.length)
