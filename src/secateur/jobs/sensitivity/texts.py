"""Texts of many variants: what the unchanged model says is read, and only what another variant would say is decoded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ...models.seq2seq.cache import Cache
from .gates import Gates
from .prefix import Prefix
from .together import greedy_rows, heard_alone, joined, says_draft
from .variants import NOTHING, Variant
from .whisper_sites import kept_rows

if TYPE_CHECKING:
    from .whisper import WhisperProbe

CUDA_ROWS, CPU_ROWS = 3200, 384  # decoder rows computed at a time
KEPT = {"cuda": 30e9, "cpu": 3e9}  # bytes of activations that are kept for the next variants
Row = tuple[int, int, list[int]]  # a variant, a clip of the batch, tokens


class Drafted:
    """Decodes for a probe; the unchanged model's tokens of every batch are kept."""

    def __init__(self, probe: WhisperProbe) -> None:
        self.probe = probe
        self._drafts: dict[tuple[int, ...], list[list[int]]] = {}

    def rows(self, variants: Sequence[Variant], batch: list[int]) -> Iterator[Row]:
        """Numbers of a variant and of a clip of the batch, and the tokens: first of those that say the draft."""
        prefix, count = self.probe.prefix(batch), len(batch)
        draft = self._draft(batch, prefix)
        waiting: list[tuple[Cache, list[tuple[int, int]]]] = []
        for numbers, start in self.probe.together(variants, count, prefix.encoder[0].shape[1], decoding=True):
            cache, same = self._read(batch, prefix, draft, [variants[i] for i in numbers], start)
            yield from ((numbers[j], c, draft[c]) for j, c in same.nonzero().tolist())
            others = (~same).nonzero()
            if len(others):
                shared = len(cache.layers[0].cross_keys) == count
                rows = others[:, 1] if shared else others[:, 0] * count + others[:, 1]
                waiting.append((heard_alone(cache, rows), [(numbers[j], c) for j, c in others.tolist()]))
            if sum(len(places) for _, places in waiting) >= self._most_rows(waiting):
                yield from self._decoded(variants, waiting)
                waiting = []
        yield from self._decoded(variants, waiting)

    def _read(
        self, batch: list[int], prefix: Prefix, draft: list[list[int]], chosen: list[Variant], start: int
    ) -> tuple[Cache, Tensor]:
        """The audio's keys and values of some variants, and which of them say the draft of which clip."""
        one = chosen[0]
        with self.probe.computing(), self.probe.gates(chosen, len(batch)):
            if one.change and "vocabulary" not in one.gone:
                cache = self.probe.model.encode(*self.probe.heard(batch, one))
            elif start < len(self.probe.config.encoder) + 1:
                cache = prefix.encoded(self.probe.model, start, len(chosen))
            else:
                cache = prefix.shared()
            same = says_draft(self.probe.model, cache, len(chosen), self.probe.prompt, draft, self._sayable(chosen))
        return cache, same

    def _decoded(
        self, variants: Sequence[Variant], waiting: Sequence[tuple[Cache, list[tuple[int, int]]]]
    ) -> Iterator[Row]:
        """Rows that do not say the draft, of many variants in one batch; memories of one length go together."""
        by_length: dict[int, list[tuple[Cache, list[tuple[int, int]]]]] = {}
        for cache, part in waiting:
            by_length.setdefault(cache.layers[0].cross_keys.shape[2], []).append((cache, part))
        for alike in by_length.values():
            yield from self._decoded_alike(variants, alike)

    def _decoded_alike(
        self, variants: Sequence[Variant], waiting: Sequence[tuple[Cache, list[tuple[int, int]]]]
    ) -> Iterator[Row]:
        places = [place for _, part in waiting for place in part]
        numbers = sorted({number for number, _ in places})
        chosen = [variants[i] for i in numbers]
        owners = torch.tensor([numbers.index(number) for number, _ in places])
        with self.probe.computing(), Gates(self.probe.model, self.probe.groups, chosen, self.probe.device) as gates:
            cache = joined([cache for cache, _ in waiting])
            found = greedy_rows(self.probe.model, cache, owners, self.probe.prompt, gates, self._sayable(chosen))
        yield from ((number, clip, ids) for (number, clip), ids in zip(places, found, strict=True))

    def _draft(self, batch: list[int], prefix: Prefix) -> list[list[int]]:
        """What the unchanged model says of a batch: token rows, their end included."""
        key = tuple(batch)
        if key not in self._drafts:
            probe, owners = self.probe, torch.zeros(len(batch), dtype=torch.long)
            with probe.computing(), probe.gates([NOTHING], len(batch)) as gates:
                self._drafts[key] = greedy_rows(probe.model, prefix.shared(), owners, probe.prompt, gates, [None])
        return self._drafts[key]

    def _sayable(self, chosen: Sequence[Variant]) -> list[Tensor | None]:
        return [kept_rows(v, self.probe.config) if "vocabulary" in v.gone else None for v in chosen]

    def _most_rows(self, waiting: Sequence[tuple[Cache, Any]]) -> int:
        """Rows that are decoded together, for what their audio takes."""
        most = CUDA_ROWS if self.probe.device.type == "cuda" else CPU_ROWS
        if not waiting:
            return most
        layers = waiting[0][0].layers
        each = sum(2 * x.cross_keys[0].numel() * x.cross_keys.element_size() for x in layers)
        return max(1, min(most, int(self.probe.share * KEPT[self.probe.device.type] / 3 / each)))
