"""Greedy decoding of many variants of a model: one pass shows which rows decode to the unchanged model's text.

The unchanged model's text is a draft (speculative decoding, Leviathan et al. 2023, arXiv 2211.17192, with a draft
that costs nothing): each row scores it in one parallel pass. Where the likeliest next token is the draft's at every
step, greedy decoding gives the draft; only the other rows are decoded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ...decode.session import TokenConfig
from ...models.groups import Group
from ...models.token_network import DecoderCache, LayerCache, TokenNetwork
from ...sensitivity.gates import Gates
from ...sensitivity.variants import BASELINE, Variant
from .greedy import max_tokens, suppression_bias
from .prefix import Prefix
from .sites import kept_rows

CHECK_EVERY = 8  # steps between reads of which rows are done: reading from a GPU waits for it
COMPACT_BELOW = 0.8  # share of unfinished rows below which finished ones are dropped from the batch
LONGEST_DRAFT = 96  # tokens of a draft: longer ones, loops mostly, are not scored
CUDA_LOGITS, CPU_LOGITS = 8192, 512  # steps whose logits are computed at once


CUDA_ROWS, CPU_ROWS = 3200, 384  # decoder rows computed at a time
PREFIX_BYTES = {"cuda": 30e9, "cpu": 3e9}  # bytes of activations that are cached for further variants
AUDIO_BYTES = {"cuda": 10e9, "cpu": 2e9}  # bytes of audio's keys and values of rows that are decoded together
Position = tuple[int, int, float]  # a variant, a clip of the batch, the loss
Row = tuple[int, int, float, list[int]]  # and tokens
Waiting = tuple[DecoderCache, list[Position]]  # the audio's keys and values of rows to decode, and their positions


@torch.no_grad()
def greedy_rows(
    model: TokenNetwork,
    cache: DecoderCache,
    owners: Tensor,
    prompt: list[int],
    gates: Gates,
    kept: Sequence[Tensor | None],
) -> list[list[int]]:
    """Token rows, `end` included; each equals `greedy` with the variant `owners` (rows,) alone.

    `cache` has the audio's keys and values of every row. `kept` (vocabulary,) are the tokens of a variant. Finished
    rows leave the batch, so that one in a repetition loop does not hold up the others.
    """
    tokens, count = model.config.tokens, len(owners)
    device = cache.layers[0].cross_keys.device
    limit = max_tokens(model, prompt)
    suppressed, suppressed_at_start = suppression_bias(model, device)
    token_bias = removed_token_bias(model, kept, device)
    result = torch.full((count, limit), tokens.end, device=device)
    active = torch.arange(count, device=device)  # the row of the result that each row of the batch is
    owners = owners.to(device)
    gates.assign(owners)
    step = torch.tensor([prompt], device=device).expand(count, -1)
    done = torch.zeros(count, dtype=torch.bool, device=device)
    for i in range(limit):
        logits = model.step(step, cache).float() + (suppressed if i else suppressed_at_start)
        if token_bias is not None:
            logits += token_bias[owners[active]]
        chosen = logits.argmax(-1).masked_fill(done, tokens.end)
        result[active, i] = chosen
        done |= chosen == tokens.end
        if i % CHECK_EVERY == CHECK_EVERY - 1:
            undecoded = int((~done).sum())
            if not undecoded:
                break
            if undecoded <= COMPACT_BELOW * len(active):
                rows = (~done).nonzero().flatten()
                cache = cache.pick(rows)
                active, chosen, done = active[rows], chosen[rows], done[rows]
                gates.assign(owners[active])
        step = chosen[:, None]
    return result.tolist()


@torch.no_grad()
def matches_draft(
    model: TokenNetwork, cache: DecoderCache, variants: int, prompt: list[int], draft: Sequence[Sequence[int]],
    kept: Sequence[Tensor | None],
) -> Tensor:  # fmt: skip
    """Whether greedy decoding gives the `draft` (token rows of the clips, `end` included): True (variants, clips).

    `cache` has the audio's keys and values of the clips, which all variants share, or of every variant and clip; it is
    not changed. Drafts without an end, or longer than `LONGEST_DRAFT`, count as False.
    """
    decoder, end = model.decoder, model.config.tokens.end
    device = cache.layers[0].cross_keys.device
    drafts = [row[: row.index(end) + 1] if end in row[:LONGEST_DRAFT] else [] for row in draft]
    length = max(map(len, drafts))
    same = torch.tensor([bool(row) for row in drafts], device=device).repeat(variants, 1)
    if not length:
        return same
    rows = torch.full((len(drafts), length), end, device=device)
    for i, row in enumerate(drafts):
        rows[i, : len(row)] = torch.tensor(row, device=device)
    prompt_ids = torch.tensor([prompt], device=device).expand(len(drafts), -1)
    x = decoder.embed(torch.cat([prompt_ids, rows[:, :-1]], 1)).repeat(variants, 1, 1)
    for layer, old in zip(decoder.layers, cache.layers, strict=True):
        x = layer(x, LayerCache(old.cross_keys, old.cross_values), cache.memory_mask, model.dropout)
    x = decoder.norm(x[:, len(prompt) - 1 :]).view(variants, len(drafts), length, -1)
    clips, steps = torch.tensor(
        [(i, j) for i, row in enumerate(drafts) for j in range(len(row))], device=device
    ).T  # the steps that have a token
    suppressed, suppressed_at_start = suppression_bias(model, device)
    token_bias = removed_token_bias(model, kept, device)
    size = CUDA_LOGITS if device.type == "cuda" else CPU_LOGITS
    for number in range(variants):
        states = x[number, clips, steps]
        for i in range(0, len(states), size):
            chunk = slice(i, i + size)
            logits = decoder.logits(states[chunk]).float()
            logits += torch.where(steps[chunk, None] > 0, suppressed, suppressed_at_start)
            if token_bias is not None:
                logits += token_bias[number]
            wrong = logits.argmax(-1) != rows[clips[chunk], steps[chunk]]
            same[number, clips[chunk][wrong]] = False
    return same


def removed_token_bias(model: TokenNetwork, kept: Sequence[Tensor | None], device: torch.device) -> Tensor | None:
    """The bias of logits (variants, vocabulary): minus infinity for tokens that a variant lacks."""
    if all(rows is None for rows in kept):
        return None
    token_bias = torch.zeros(len(kept), model.config.vocabulary, device=device)
    for number, rows in enumerate(kept):
        if rows is not None:
            token_bias[number, ~rows.to(device)] = -torch.inf
    return token_bias


def audio_cache(cache: DecoderCache, rows: Tensor) -> DecoderCache:
    """The audio's keys and values of `rows`, without tokens."""
    layers = [LayerCache(x.cross_keys[rows], x.cross_values[rows]) for x in cache.layers]
    return DecoderCache(layers, None if cache.memory_mask is None else cache.memory_mask[rows])


def joined(caches: Sequence[DecoderCache]) -> DecoderCache:
    """Caches that hold audio alone as one: row after row."""
    masks = [c.memory_mask for c in caches]
    layers = [
        LayerCache(torch.cat([x.cross_keys for x in same]), torch.cat([x.cross_values for x in same]))
        for same in zip(*(c.layers for c in caches), strict=True)
    ]
    return DecoderCache(layers, None if masks[0] is None else torch.cat([m for m in masks if m is not None]))


@dataclass(frozen=True)
class VariantLosses:
    """Variants on a batch: losses (variants, clips), the audio's keys and values (of the clips, which all share, or of
    every variant and clip), and whether they decode to the clips' drafts (variants, clips)."""

    numbers: list[int]
    losses: Tensor
    cache: DecoderCache
    same: Tensor | None = None


class Batches(Protocol):
    """The parts of a probe that decoding needs; see `probe.TokenProbe`."""

    model: TokenNetwork
    groups: dict[str, Group]
    device: torch.device
    config: TokenConfig
    prompt: list[int]
    share: float

    def prefix(self, batch: list[int]) -> Prefix: ...
    def computing(self) -> AbstractContextManager[object]: ...
    def gates(self, variants: Sequence[Variant], clips: int) -> Gates: ...
    def ablated(
        self, variants: Sequence[Variant], batch: list[int], draft: Sequence[Sequence[int]] | None = None
    ) -> Iterator[VariantLosses]: ...


class Drafted:
    """Decodes variants for a probe; the unchanged model's tokens of every batch are cached as drafts."""

    def __init__(self, probe: Batches) -> None:
        self.probe = probe
        self._drafts: dict[tuple[int, ...], list[list[int]]] = {}

    def rows(self, variants: Sequence[Variant], batch: list[int]) -> Iterator[Row]:
        """Numbers of a variant and of a clip of the batch, loss and tokens: those that decode to the draft come
        first."""
        prefix, count = self.probe.prefix(batch), len(batch)
        draft = self._draft(batch, prefix)
        waiting: list[Waiting] = []
        for result in self.probe.ablated(variants, batch, draft):
            assert result.same is not None
            numbers, losses = result.numbers, result.losses.tolist()
            yield from ((numbers[j], c, losses[j][c], draft[c]) for j, c in result.same.nonzero().tolist())
            undrafted = (~result.same).nonzero()
            if len(undrafted):
                shared = len(result.cache.layers[0].cross_keys) == count
                rows = undrafted[:, 1] if shared else undrafted[:, 0] * count + undrafted[:, 1]
                positions = [(numbers[j], c, losses[j][c]) for j, c in undrafted.tolist()]
                waiting.append((audio_cache(result.cache, rows), positions))
            if sum(len(positions) for _, positions in waiting) >= self._most_rows(waiting):
                yield from self._decoded(variants, waiting)
                waiting = []
        yield from self._decoded(variants, waiting)

    def _decoded(self, variants: Sequence[Variant], waiting: Sequence[Waiting]) -> Iterator[Row]:
        """Rows that do not decode to the draft, of many variants in one batch a length of the encoder output."""
        by_length: dict[int, list[Waiting]] = {}
        for cache, positions_of in waiting:
            by_length.setdefault(cache.layers[0].cross_keys.shape[2], []).append((cache, positions_of))
        for group in by_length.values():
            yield from self._decoded_group(variants, group)

    def _decoded_group(self, variants: Sequence[Variant], waiting: Sequence[Waiting]) -> Iterator[Row]:
        positions = [position for _, positions_of in waiting for position in positions_of]
        numbers = sorted({number for number, _, _ in positions})
        chosen = [variants[i] for i in numbers]
        owners = torch.tensor([numbers.index(number) for number, _, _ in positions])
        allowed = [kept_rows(v, self.probe.config) if "vocabulary" in v.ablated else None for v in chosen]
        with self.probe.computing(), Gates(self.probe.model, self.probe.groups, chosen, self.probe.device) as gates:
            cache = joined([cache for cache, _ in waiting])
            token_rows = greedy_rows(self.probe.model, cache, owners, self.probe.prompt, gates, allowed)
        yield from ((*position, ids) for position, ids in zip(positions, token_rows, strict=True))

    def _draft(self, batch: list[int], prefix: Prefix) -> list[list[int]]:
        """The unchanged model's token rows of a batch, their end included."""
        key = tuple(batch)
        if key not in self._drafts:
            probe, owners = self.probe, torch.zeros(len(batch), dtype=torch.long)
            with probe.computing(), probe.gates([BASELINE], len(batch)) as gates:
                self._drafts[key] = greedy_rows(probe.model, prefix.shared(), owners, probe.prompt, gates, [None])
        return self._drafts[key]

    def _most_rows(self, waiting: Sequence[Waiting]) -> int:
        """Rows to decode together, limited by the size of their audio's keys and values."""
        limit = CUDA_ROWS if self.probe.device.type == "cuda" else CPU_ROWS
        if not waiting:
            return limit
        layers = waiting[0][0].layers
        each = sum(2 * x.cross_keys[0].numel() * x.cross_keys.element_size() for x in layers)
        return max(1, min(limit, int(self.probe.share * AUDIO_BYTES[self.probe.device.type] / each)))
