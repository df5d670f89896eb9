"""Clips are read, and their speech is found, in processes of their own, so that the one with the GPU only decodes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass

from ...base.errors import SecateurError
from ...data.manifest import Utterance
from ...decode.options import DecodingOptions
from ...decode.segments import Audio
from ...decode.speech import Window
from ..passages import looks_for_speech, plan
from ..sides import Sides, sides_of

CLIPS, SECONDS = 16, 120.0  # read in one go, in one process, at most
GUESS = 10.0  # seconds of a clip whose duration nobody knows


@dataclass(frozen=True)
class ReadSide:
    """One channel of a clip: its name, samples, and windows of speech (None: whoever decodes it finds them)."""

    name: str
    samples: Audio
    windows: list[Window] | None


@dataclass(frozen=True)
class ReadPlan:
    """How clips are read: rate, channels, and the longest windows (samples); 0: windows are not made."""

    sample_rate: int
    channel: Sides | None
    options: DecodingOptions
    longest: int
    preferred: int | None


def read(clips: Sequence[Utterance], how: ReadPlan) -> list[list[ReadSide] | str]:
    """The channels of each clip, or what is wrong with it."""
    answers: list[list[ReadSide] | str] = []
    for clip in clips:
        try:
            sides = sides_of(clip, how.sample_rate, how.channel)
        except SecateurError as problem:
            answers.append(reason(clip, problem))
            continue
        audios = [samples for _, samples in sides]
        plans: Sequence[list[Window] | None] = [None] * len(audios)
        if how.longest and looks_for_speech(how.options):
            plans = plan(audios, [how.longest] * len(audios), how.options, how.sample_rate, how.preferred)
        answers.append([ReadSide(name, samples, p) for (name, samples), p in zip(sides, plans, strict=True)])
    return answers


def reason(clip: Utterance, problem: SecateurError) -> str:
    """What is wrong with a clip, without its name."""
    return str(problem).removeprefix(f"{clip.audio}: ")


def parts_of(clips: Sequence[Utterance]) -> list[list[Utterance]]:
    """`clips` in parts of up to `CLIPS` and about `SECONDS`: a long recording is a part of its own."""
    parts: list[list[Utterance]] = []
    left = 0.0
    for clip in clips:
        seconds = clip.duration or GUESS
        if not parts or len(parts[-1]) == CLIPS or seconds > left:
            parts.append([])
            left = SECONDS
        parts[-1].append(clip)
        left -= seconds
    return parts


class Readers:
    """`count` processes that read; none with 0: then clips are read when they are asked for."""

    def __init__(self, how: ReadPlan, count: int) -> None:
        self.how = how
        # Not forked: a process with a GPU, or with threads, cannot be.
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(count, context) if count else None

    def begin(self, clips: Sequence[Utterance]) -> list[Future[list[list[ReadSide] | str]]]:
        """Begin to read `clips`; the parts in order."""
        parts = parts_of(clips)
        if self._pool is not None:
            return [self._pool.submit(read, part, self.how) for part in parts]
        futures: list[Future[list[list[ReadSide] | str]]] = []
        for part in parts:
            futures.append(Future())
            futures[-1].set_result(read(part, self.how))
        return futures

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
