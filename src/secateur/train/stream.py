"""The endless, seeded sequence of batches: the same seed gives the same batches, from any step on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..data.bank import buckets


@dataclass(frozen=True)
class Mix:
    """Clips to learn from, by seconds, and clips to retain: what the model knew outside the new domain.

    An epoch has every clip to learn from, and a drawn part of those to retain that makes up `share` of its audio.
    """

    learn: tuple[float, ...]  # seconds of each clip
    retain: tuple[float, ...] = ()
    share: float = 0.5

    def epoch(self, seed: int, number: int) -> list[int]:
        """Row numbers of epoch `number`; the clips to retain are numbered after those to learn from."""
        rows = list(range(len(self.learn)))
        if not self.retain or self.share <= 0:
            return rows
        budget = sum(self.learn) * self.share / max(1 - self.share, 1e-6)
        order = np.random.default_rng((seed, number, 1)).permutation(len(self.retain))
        spent = np.cumsum(np.asarray(self.retain)[order])
        drawn = order[: int(np.searchsorted(spent, budget)) + 1]
        return rows + [len(self.learn) + int(i) for i in drawn]


def batch_stream(
    mix: Mix, batch_seconds: float, seed: int, skip: int = 0, short_first: int = 0
) -> Iterator[list[int]]:
    """Batches of row numbers, epoch after epoch; `skip` batches are passed over (resuming).

    In the first `short_first` epochs they come from the shortest clips to the longest (SortaGrad, Amodei et al. 2016,
    arXiv 1512.02595): a CTC network finds its first alignments where there are few to choose from.
    """
    seconds: Sequence[float] = [*mix.learn, *mix.retain]
    number = 0
    while True:
        rows = mix.epoch(seed, number)
        batches = buckets([seconds[r] for r in rows], batch_seconds, seed * 1009 + number)
        if number < short_first:
            batches.sort(key=lambda batch: max(seconds[rows[i]] for i in batch))
        number += 1
        if skip >= len(batches):
            skip -= len(batches)
            continue
        for batch in batches[skip:]:
            yield [rows[i] for i in batch]
        skip = 0


def epoch_steps(mix: Mix, batch_seconds: float, seed: int) -> int:
    """Batches in the first epoch: what `epochs` is multiplied with."""
    rows = mix.epoch(seed, 0)
    seconds = [*mix.learn, *mix.retain]
    return len(buckets([seconds[r] for r in rows], batch_seconds, seed * 1009))
