"""The endless, seeded sequence of batches: the same seed gives the same batches, from any step on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..data.bank import buckets
from .mix import Example, MixSettings, examples_of, nonspeech_of, plain

Seconds = Sequence[float] | NDArray[np.float32]


@dataclass(frozen=True)
class Mix:
    """Clips to learn from, by seconds, and clips to retain: what the model knew outside the new domain.

    An epoch has every clip to learn from, and a drawn part of those to retain that makes up `share` of its audio.
    With a `window`, clips are read nearly in their order, as disks and archives like it: batches come from one window
    of so many clips, then from the next; windows and the batches inside each are shuffled. With `use`, clips are also
    joined, prompted and mixed with non-speech (`train.mix`).
    """

    learn: Seconds  # of each clip
    retain: Seconds = ()
    share: float = 0.5
    window: int = 0
    use: MixSettings | None = None
    longest: float = 30.0  # s, of a joined example: what the model takes
    stretch: float = 1.0  # times a clip can become as long when it is played slower
    timed: bool = False  # whether the model has timestamp tokens
    recorded: bool = False  # whether there are recordings without speech
    language: Callable[[int], str] | None = None  # of a clip; None: all have one

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

    def batches(self, batch_seconds: float, seed: int, number: int) -> Iterator[list[list[Example]]]:
        """The batches of epoch `number`, in one piece or window by window."""
        if not self.window:
            yield self._cut(self.epoch(seed, number), batch_seconds, seed * 1009 + number, (seed, number))
            return
        starts = range(0, len(self.learn), self.window)
        drawn = np.array_split(np.asarray(self._drawn(seed, number), np.int64), len(starts))
        for place, w in enumerate(np.random.default_rng((seed, number, 2)).permutation(len(starts)).tolist()):
            own = range(starts[w], min(starts[w] + self.window, len(self.learn)))
            rows = [*own, *drawn[place].tolist()]
            yield self._cut(rows, batch_seconds, (seed, number, 3, w), (seed, number, w))

    def clip_seconds(self, row: int) -> float:
        """Of one clip."""
        return float(self.learn[row] if row < len(self.learn) else self.retain[row - len(self.learn)])

    def seconds(self, example: Example) -> float:
        """Of one example."""
        if not example.clips:
            return example.seconds
        speech = sum(self.clip_seconds(row) for row in example.whole)
        return speech + sum(example.pauses) + (example.part or 0.0)

    def _cut(
        self, rows: list[int], batch_seconds: float, shuffle: int | tuple[int, ...], seed: tuple[int, ...]
    ) -> list[list[Example]]:
        if self.use is None:
            found = buckets([self.clip_seconds(r) for r in rows], batch_seconds, shuffle)
            return [plain([rows[i] for i in batch]) for batch in found]
        examples = examples_of(
            rows, lambda row: self.clip_seconds(row) * self.stretch, self._same, self.use, self.longest, self.timed,
            (*seed, 4),
        )  # fmt: skip
        # What non-speech adds stays within `batch_seconds`: a step costs as much as without.
        room = batch_seconds * (1 - self.use.share("nonspeech"))
        batches = []
        for place, batch in enumerate(buckets([self.seconds(e) for e in examples], room, shuffle)):
            chosen = [examples[i] for i in batch]
            longest = max(map(self.seconds, chosen))
            batches.append(
                chosen + nonspeech_of(len(chosen), longest, rows, self.use, self.recorded, (*seed, 5, place))
            )
        return batches

    def _same(self, row: int) -> tuple[bool, str]:
        """What clips must share to be joined: the set, and the language."""
        return row < len(self.learn), "" if self.language is None else self.language(row)


def batch_stream(
    mix: Mix, batch_seconds: float, seed: int, skip: int = 0, short_first: int = 0
) -> Iterator[list[Example]]:
    """Batches of examples, epoch after epoch; `skip` batches are passed over (resuming).

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
