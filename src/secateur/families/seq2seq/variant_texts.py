"""Texts of many variants: the unchanged model's text is verified in one pass, and only other texts are decoded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ...decode.session import TokenConfig
from ...models.cache import DecoderCache
from ...models.groups import Group
from ...models.token_network import TokenNetwork
from ...sensitivity.gates import Gates
from ...sensitivity.variants import BASELINE, Variant
from .prefix import Prefix
from .sites import kept_rows
from .variant_greedy import audio_cache, greedy_rows, joined

CUDA_ROWS, CPU_ROWS = 3200, 384  # decoder rows computed at a time
PREFIX_BYTES = {"cuda": 30e9, "cpu": 3e9}  # bytes of activations that are cached for further variants
AUDIO_BYTES = {"cuda": 10e9, "cpu": 2e9}  # bytes of audio's keys and values of rows that are decoded together
Position = tuple[int, int, float]  # a variant, a clip of the batch, the loss
Row = tuple[int, int, float, list[int]]  # and tokens
Waiting = tuple[DecoderCache, list[Position]]  # the audio's keys and values of rows to decode, and their positions


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
