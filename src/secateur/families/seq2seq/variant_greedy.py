"""Greedy decoding of many variants of a model: most rows say what the unchanged model says, which one pass shows.

The unchanged model's text is a draft (speculative decoding, Leviathan et al. 2023, arXiv 2211.17192, with a draft that
has been paid for): each row reads it once, all tokens side by side. Where the likeliest next token is the draft's at
every place, greedy decoding would have said the same; only rows that would have said something else are decoded.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ...models.cache import Cache, LayerCache
from ...models.token_network import TokenNetwork
from ...sensitivity.gates import Gates
from .greedy import forbidden, most_tokens

ASK = 8  # steps between questions whether rows are done: asking a GPU waits for it
LEAVE = 0.8  # share of the rows, or fewer, that are not done: the others leave the batch
LONGEST = 96  # tokens of a draft: longer ones, loops mostly, are not read
CUDA_LOGITS, CPU_LOGITS = 8192, 512  # places whose next token is looked at in one go


@torch.no_grad()
def greedy_rows(
    model: TokenNetwork, cache: Cache, owners: Tensor, prompt: list[int], gates: Gates, kept: Sequence[Tensor | None]
) -> list[list[int]]:
    """Token rows, `end` included; each is what `greedy` says with the variant `owners` (rows,) alone.

    `cache` has the audio's keys and values of every row. `kept` (vocabulary,) are the rows that a variant may say. Rows
    that are done leave the batch, so that one that goes round in a loop does not hold up the others.
    """
    tokens, count = model.config.tokens, len(owners)
    device = cache.layers[0].cross_keys.device
    most = most_tokens(model, prompt)
    banned, banned_first = forbidden(model, device)
    lost = lost_tokens(model, kept, device)
    result = torch.full((count, most), tokens.end, device=device)
    active = torch.arange(count, device=device)  # the row of the result that each row of the batch is
    owners = owners.to(device)
    gates.assign(owners)
    step = torch.tensor([prompt], device=device).expand(count, -1)
    done = torch.zeros(count, dtype=torch.bool, device=device)
    for i in range(most):
        logits = model.step(step, cache).float() + (banned if i else banned_first)
        if lost is not None:
            logits += lost[owners[active]]
        chosen = logits.argmax(-1).masked_fill(done, tokens.end)
        result[active, i] = chosen
        done |= chosen == tokens.end
        if i % ASK == ASK - 1:
            left = int((~done).sum())
            if not left:
                break
            if left <= LEAVE * len(active):
                rows = (~done).nonzero().flatten()
                cache = cache.pick(rows)
                active, chosen, done = active[rows], chosen[rows], done[rows]
                gates.assign(owners[active])
        step = chosen[:, None]
    return result.tolist()


@torch.no_grad()
def says_draft(
    model: TokenNetwork, cache: Cache, variants: int, prompt: list[int], draft: Sequence[Sequence[int]],
    kept: Sequence[Tensor | None],
) -> Tensor:  # fmt: skip
    """Whether greedy decoding says the `draft` (token rows of the clips, `end` included): True (variants, clips).

    `cache` has the audio's keys and values of the clips, which all variants share, or of every variant and clip; it is
    left as it is. Drafts without an end, or longer than `LONGEST`, are never said.
    """
    decoder, end = model.decoder, model.config.tokens.end
    device = cache.layers[0].cross_keys.device
    short = [row[: row.index(end) + 1] if end in row[:LONGEST] else [] for row in draft]
    length = max(map(len, short))
    same = torch.tensor([bool(row) for row in short], device=device).repeat(variants, 1)
    if not length:
        return same
    rows = torch.full((len(short), length), end, device=device)
    for i, row in enumerate(short):
        rows[i, : len(row)] = torch.tensor(row, device=device)
    given = torch.tensor([prompt], device=device).expand(len(short), -1)
    x = decoder.embed(torch.cat([given, rows[:, :-1]], 1)).repeat(variants, 1, 1)
    for layer, old in zip(decoder.layers, cache.layers, strict=True):
        x = layer(x, LayerCache(old.cross_keys, old.cross_values), cache.memory_mask, model.dropout)
    x = decoder.norm(x[:, len(prompt) - 1 :]).view(variants, len(short), length, -1)
    clips, places = torch.tensor(
        [(i, j) for i, row in enumerate(short) for j in range(len(row))], device=device
    ).T  # where a token is asked for
    banned, banned_first = forbidden(model, device)
    lost = lost_tokens(model, kept, device)
    weight, size = decoder.token_embedding.weight.T, CUDA_LOGITS if device.type == "cuda" else CPU_LOGITS
    for number in range(variants):
        asked = x[number, clips, places]
        for i in range(0, len(asked), size):
            part = slice(i, i + size)
            logits = (asked[part] @ weight).float()
            logits += torch.where(places[part, None] > 0, banned, banned_first)
            if lost is not None:
                logits += lost[number]
            wrong = logits.argmax(-1) != rows[clips[part], places[part]]
            same[number, clips[part][wrong]] = False
    return same


def lost_tokens(model: TokenNetwork, kept: Sequence[Tensor | None], device: torch.device) -> Tensor | None:
    """What is added to logits (variants, vocabulary): minus infinity for rows that a variant may not say."""
    if all(rows is None for rows in kept):
        return None
    lost = torch.zeros(len(kept), model.config.vocabulary, device=device)
    for number, rows in enumerate(kept):
        if rows is not None:
            lost[number, ~rows.to(device)] = -torch.inf
    return lost


def heard_alone(cache: Cache, rows: Tensor) -> Cache:
    """The audio's keys and values of `rows`, without tokens."""
    layers = [LayerCache(x.cross_keys[rows], x.cross_values[rows]) for x in cache.layers]
    return Cache(layers, None if cache.memory_mask is None else cache.memory_mask[rows])


def joined(caches: Sequence[Cache]) -> Cache:
    """Caches that hold audio alone as one: row after row."""
    masks = [c.memory_mask for c in caches]
    layers = [
        LayerCache(torch.cat([x.cross_keys for x in same]), torch.cat([x.cross_values for x in same]))
        for same in zip(*(c.layers for c in caches), strict=True)
    ]
    return Cache(layers, None if masks[0] is None else torch.cat([m for m in masks if m is not None]))
