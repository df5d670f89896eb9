"""The endless, seeded sequence of batches: the same seed gives the same batches and draws, from any step on and on any
number of processes, without stored generator states."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from ..data.bank import buckets
from ..data.clip_index import durations_of, joined
from ..data.job import JobData
from ..data.manifest import Utterance
from ..models.family import Config
from .mix import Example, MixSettings, examples_of, nonspeech_of, plain
from .settings import TrainSettings

SHARED, DROPOUT, AUGMENT, AFTER, SPEED = range(5)  # purposes of draws


Seconds = Sequence[float] | NDArray[np.float32]


def seed_for(purpose: int, seed: int, step: int, rank: int = 0, part: int = 0) -> int:
    """A 64-bit seed for one purpose, optimiser step, process and micro-batch."""
    return int(np.random.SeedSequence((purpose, seed, step, rank, part)).generate_state(1, np.uint64)[0])


def seed_torch(purpose: int, seed: int, step: int, rank: int = 0, part: int = 0) -> None:
    """Seed torch's global generators (CPU and GPUs), which dropout and callbacks draw from."""
    chosen = seed_for(purpose, seed, step, rank, part)
    if torch.accelerator.is_available():
        torch.manual_seed(chosen)
    else:  # `manual_seed` would write the whole call stack down for every kind of GPU that might come
        torch.default_generator.manual_seed(chosen)


@dataclass(frozen=True)
class Mix:
    """Durations of the training set and of the rehearsal set: audio from before, which keeps the model from forgetting.

    An epoch has every training clip, and a sample of the rehearsal set that makes up `share` of its audio. With a
    `window`, clips are read nearly in order, which is fast on disks and in archives: batches come from one window of so
    many clips, then from the next; windows and the batches inside each are shuffled. With `use`, clips are also joined,
    prompted and mixed with non-speech (`train.mix`).
    """

    training: Seconds  # of each clip
    rehearsal: Seconds = ()
    share: float = 0.5
    window: int = 0
    use: MixSettings | None = None
    longest: float = 30.0  # s, of a joined example: the model's limit
    stretch: float = 1.0  # times a clip can become as long when it is played slower
    timed: bool = False  # whether the model has timestamp tokens
    recorded: bool = False  # whether there are recordings without speech
    language: Callable[[int], str] | None = None  # of a clip; None: all have one

    def epoch(self, seed: int, number: int) -> list[int]:
        """Row numbers of epoch `number`; rehearsal clips are numbered after the training clips."""
        return [*range(len(self.training)), *self._drawn(seed, number)]

    def _drawn(self, seed: int, number: int) -> list[int]:
        """The sample of the rehearsal set for one epoch."""
        if not len(self.rehearsal) or self.share <= 0:
            return []
        budget = sum(map(float, self.training)) * self.share / max(1 - self.share, 1e-6)
        order = np.random.default_rng((seed, number, 1)).permutation(len(self.rehearsal))
        spent = np.cumsum(np.asarray(self.rehearsal)[order])
        drawn = order[: int(np.searchsorted(spent, budget)) + 1]
        return [len(self.training) + int(i) for i in drawn]

    def batches(self, batch_seconds: float, seed: int, number: int) -> Iterator[list[list[Example]]]:
        """The batches of epoch `number`, all at once or window by window."""
        if not self.window:
            yield self._batched(self.epoch(seed, number), batch_seconds, seed * 1009 + number, (seed, number))
            return
        starts = range(0, len(self.training), self.window)
        drawn = np.array_split(np.asarray(self._drawn(seed, number), np.int64), len(starts))
        for position, w in enumerate(np.random.default_rng((seed, number, 2)).permutation(len(starts)).tolist()):
            window = range(starts[w], min(starts[w] + self.window, len(self.training)))
            rows = [*window, *drawn[position].tolist()]
            yield self._batched(rows, batch_seconds, (seed, number, 3, w), (seed, number, w))

    def clip_seconds(self, row: int) -> float:
        """The duration of a clip, in seconds."""
        return float(self.training[row] if row < len(self.training) else self.rehearsal[row - len(self.training)])

    def seconds(self, example: Example) -> float:
        """The duration of an example, in seconds."""
        if not example.clips:
            return example.seconds
        speech = sum(self.clip_seconds(row) for row in example.complete)
        pauses = sum(example.pauses) + sum(one.seconds for one in example.breaks)
        return speech + pauses + (example.cut_after or 0.0)

    def _batched(
        self, rows: list[int], batch_seconds: float, shuffle: int | tuple[int, ...], seed: tuple[int, ...]
    ) -> list[list[Example]]:
        if self.use is None:
            row_batches = buckets([self.clip_seconds(r) for r in rows], batch_seconds, shuffle)
            return [plain([rows[i] for i in batch]) for batch in row_batches]
        examples = examples_of(
            rows, lambda row: self.clip_seconds(row) * self.stretch, self._join_key, self.use, self.longest, self.timed,
            (*seed, 4),
        )  # fmt: skip
        # What non-speech adds stays within `batch_seconds`: a step costs as much as without.
        room = batch_seconds * (1 - self.use.share("nonspeech"))
        batches = []
        for position, batch in enumerate(buckets([self.seconds(e) for e in examples], room, shuffle)):
            chosen = [examples[i] for i in batch]
            longest = max(map(self.seconds, chosen))
            batches.append(
                chosen + nonspeech_of(len(chosen), longest, rows, self.use, self.recorded, (*seed, 5, position))
            )
        return batches

    def _join_key(self, row: int) -> tuple[bool, str]:
        """The set and the language, which clips must share to be joined."""
        return row < len(self.training), "" if self.language is None else self.language(row)


def batch_stream(
    mix: Mix, batch_seconds: float, seed: int, skip: int = 0, sortagrad: int = 0
) -> Iterator[list[Example]]:
    """Batches of examples, epoch after epoch; `skip` batches are passed over (resuming).

    In the first `sortagrad` epochs they come from the shortest clips to the longest (SortaGrad, Amodei et al. 2016,
    arXiv 1512.02595): a CTC network finds its first alignments where there are few to choose from.
    """
    number = 0
    while True:
        for batches in mix.batches(batch_seconds, seed, number):
            if number < sortagrad:
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


def mix_of(data: JobData, config: Config, settings: TrainSettings) -> Mix:
    """The examples of a job for a model with `config`."""
    mix = Mix(durations_of(data.training), durations_of(data.rehearsal), data.rehearsal_share, data.window)
    if settings.mix is None or not settings.mix.on:
        return mix
    tokens = getattr(config, "tokens", None)
    languages = set(data.languages) | {u.language for u in data.rehearsal}
    if not data.languages:
        languages |= {u.language for u in data.training}
    return replace(
        mix,
        use=settings.mix,
        longest=min(config.max_seconds, data.shortest_context),
        stretch=1.0 if settings.augment is None else max(1 / speed for speed in settings.augment.speeds),
        timed=tokens is not None and tokens.timestamps is not None,
        recorded=data.nonspeech is not None,
        language=partial(_language, joined(data.training, data.rehearsal)) if len(languages) > 1 else None,
    )


def _language(clips: Sequence[Utterance], row: int) -> str:
    return clips[row].language
