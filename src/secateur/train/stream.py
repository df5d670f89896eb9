"""The endless, seeded sequence of batches: the same seed gives the same batches, from any step on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..data.bank import buckets

Seconds = Sequence[float] | NDArray[np.float32]


@dataclass(frozen=True)
class Mix:
    """Clips to learn from, by seconds, and clips to retain: what the model knew outside the new domain.

    An epoch has every clip to learn from, and a drawn part of those to retain that makes up `share` of its audio.
    With a `window`, clips are read nearly in their order, as disks and archives like it: batches come from one window
    of so many clips, then from the next; windows and the batches inside each are shuffled.
    """

    learn: Seconds  # of each clip
    retain: Seconds = ()
    share: float = 0.5
    window: int = 0

    def epoch(self, seed: int, number: int) -> list[int]:
        """Row numbers of epoch `number`; the clips to retain are numbered after those to learn from."""
        return [*range(len(self.learn)), *self._drawn(seed, number)]

    def _drawn(self, seed: int, number: int) -> list[int]:
        """Those to retain of an epoch."""
        if not len(self.retain) or self.share <= 0:
            return []
        budget = sum(map(float, self.learn)) * self.share / max(1 - self.share, 1e-6)
        order = np.random.default_rng((seed, number, 1)).permutation(len(self.retain))
        spent = np.cumsum(np.asarray(self.retain)[order])
        drawn = order[: int(np.searchsorted(spent, budget)) + 1]
        return [len(self.learn) + int(i) for i in drawn]

    def batches(self, batch_seconds: float, seed: int, number: int) -> Iterator[list[list[int]]]:
        """The batches of epoch `number`, in one piece or window by window."""
        if not self.window:
            rows = self.epoch(seed, number)
            yield self._cut(rows, batch_seconds, seed * 1009 + number)
            return
        starts = range(0, len(self.learn), self.window)
        drawn = np.array_split(np.asarray(self._drawn(seed, number), np.int64), len(starts))
        for place, w in enumerate(np.random.default_rng((seed, number, 2)).permutation(len(starts)).tolist()):
            own = range(starts[w], min(starts[w] + self.window, len(self.learn)))
            yield self._cut([*own, *drawn[place].tolist()], batch_seconds, (seed, number, 3, w))

    def seconds(self, row: int) -> float:
        """Of one clip."""
        return float(self.learn[row] if row < len(self.learn) else self.retain[row - len(self.learn)])

    def _cut(self, rows: list[int], batch_seconds: float, seed: int | tuple[int, ...]) -> list[list[int]]:
        found = buckets([self.seconds(r) for r in rows], batch_seconds, seed)
        return [[rows[i] for i in batch] for batch in found]


def batch_stream(
    mix: Mix, batch_seconds: float, seed: int, skip: int = 0, short_first: int = 0
) -> Iterator[list[int]]:
    """Batches of row numbers, epoch after epoch; `skip` batches are passed over (resuming).

    In the first `short_first` epochs they come from the shortest clips to the longest (SortaGrad, Amodei et al. 2016,
    arXiv 1512.02595): a CTC network finds its first alignments where there are few to choose from.
    """
    number = 0
    while True:
        for batches in mix.batches(batch_seconds, seed, number):
            if number < short_first:
                batches.sort(key=lambda batch: max(map(mix.seconds, batch)))
            if skip >= len(batches):
                skip -= len(batches)
                continue
            yield from batches[skip:]
            skip = 0
        number += 1


def epoch_steps(mix: Mix, batch_seconds: float, seed: int) -> int:
    """Batches in the first epoch: what `epochs` is multiplied with."""
    return sum(len(batches) for batches in mix.batches(batch_seconds, seed, 0))
