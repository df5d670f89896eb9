"""Texts of many variants: what the unchanged model says is read, and only what another variant would say is decoded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from ...models.cache import Cache
from ...models.groups import Group
from ...models.token_network import TokenNetwork
from ...sensitivity.gates import Gates
from ...sensitivity.variants import BASELINE, Variant
from .prefix import Prefix
from .sites import kept_rows
from .variant_greedy import greedy_rows, heard_alone, joined

CUDA_ROWS, CPU_ROWS = 3200, 384  # decoder rows computed at a time
KEPT = {"cuda": 30e9, "cpu": 3e9}  # bytes of activations that are kept for the next variants
HEARD = {"cuda": 10e9, "cpu": 2e9}  # bytes of audio's keys and values of rows that are decoded together
Position = tuple[int, int, float]  # a variant, a clip of the batch, the loss
Row = tuple[int, int, float, list[int]]  # and tokens
Waiting = tuple[Cache, list[Position]]  # rows to decode: what they heard


@dataclass(frozen=True)
class Outcome:
    """What variants make of a batch: losses (variants, clips), the audio's keys and values (of the clips, which all
    share, or of every variant and clip), and which clips' drafts they would say (variants, clips)."""

    numbers: list[int]
    losses: Tensor
    cache: Cache
    same: Tensor | None = None


class Batches(Protocol):
    """The parts of a probe that decoding asks for; see `probe.TokenProbe`."""

    model: TokenNetwork
    groups: dict[str, Group]
    device: torch.device
    config: Any
    prompt: list[int]
    share: float

    def prefix(self, batch: list[int]) -> Prefix: ...
    def computing(self) -> AbstractContextManager[Any]: ...
    def gates(self, variants: Sequence[Variant], clips: int) -> Gates: ...
    def without(
        self, variants: Sequence[Variant], batch: list[int], draft: Sequence[Sequence[int]] | None = None
    ) -> Iterator[Outcome]: ...


class Drafted:
    """Decodes for a probe; the unchanged model's tokens of every batch are kept."""

    def __init__(self, probe: Batches) -> None:
        self.probe = probe
        self._drafts: dict[tuple[int, ...], list[list[int]]] = {}

    def rows(self, variants: Sequence[Variant], batch: list[int]) -> Iterator[Row]:
        """Numbers of a variant and of a clip of the batch, loss and tokens: first of those that say the draft."""
        prefix, count = self.probe.prefix(batch), len(batch)
        draft = self._draft(batch, prefix)
        waiting: list[Waiting] = []
        for heard in self.probe.without(variants, batch, draft):
            assert heard.same is not None
            numbers, losses = heard.numbers, heard.losses.tolist()
            yield from ((numbers[j], c, losses[j][c], draft[c]) for j, c in heard.same.nonzero().tolist())
            others = (~heard.same).nonzero()
            if len(others):
                shared = len(heard.cache.layers[0].cross_keys) == count
                rows = others[:, 1] if shared else others[:, 0] * count + others[:, 1]
                places = [(numbers[j], c, losses[j][c]) for j, c in others.tolist()]
                waiting.append((heard_alone(heard.cache, rows), places))
            if sum(len(places) for _, places in waiting) >= self._most_rows(waiting):
                yield from self._decoded(variants, waiting)
                waiting = []
        yield from self._decoded(variants, waiting)

    def _decoded(self, variants: Sequence[Variant], waiting: Sequence[Waiting]) -> Iterator[Row]:
        """Rows that do not say the draft, of many variants in one batch; memories of one length go together."""
        by_length: dict[int, list[Waiting]] = {}
        for cache, part in waiting:
            by_length.setdefault(cache.layers[0].cross_keys.shape[2], []).append((cache, part))
        for alike in by_length.values():
            yield from self._decoded_alike(variants, alike)

    def _decoded_alike(self, variants: Sequence[Variant], waiting: Sequence[Waiting]) -> Iterator[Row]:
        places = [place for _, part in waiting for place in part]
        numbers = sorted({number for number, _, _ in places})
        chosen = [variants[i] for i in numbers]
        owners = torch.tensor([numbers.index(number) for number, _, _ in places])
        sayable = [kept_rows(v, self.probe.config) if "vocabulary" in v.gone else None for v in chosen]
        with self.probe.computing(), Gates(self.probe.model, self.probe.groups, chosen, self.probe.device) as gates:
            cache = joined([cache for cache, _ in waiting])
            token_rows = greedy_rows(self.probe.model, cache, owners, self.probe.prompt, gates, sayable)
        yield from ((*place, ids) for place, ids in zip(places, token_rows, strict=True))

    def _draft(self, batch: list[int], prefix: Prefix) -> list[list[int]]:
        """What the unchanged model says of a batch: token rows, their end included."""
        key = tuple(batch)
        if key not in self._drafts:
            probe, owners = self.probe, torch.zeros(len(batch), dtype=torch.long)
            with probe.computing(), probe.gates([BASELINE], len(batch)) as gates:
                self._drafts[key] = greedy_rows(probe.model, prefix.shared(), owners, probe.prompt, gates, [None])
        return self._drafts[key]

    def _most_rows(self, waiting: Sequence[Waiting]) -> int:
        """Rows that are decoded together, for what their audio takes."""
        most = CUDA_ROWS if self.probe.device.type == "cuda" else CPU_ROWS
        if not waiting:
            return most
        layers = waiting[0][0].layers
        each = sum(2 * x.cross_keys[0].numel() * x.cross_keys.element_size() for x in layers)
        return max(1, min(most, int(self.probe.share * HEARD[self.probe.device.type] / each)))
