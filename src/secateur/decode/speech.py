"""Which parts of a recording hold speech, and windows that end in its pauses: pure functions on samples' numbers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .segments import Audio, next_cut

Span = tuple[int, int]  # first sample, and the one after the last


@dataclass(frozen=True)
class SpeechSettings:
    """How probabilities become regions and windows; seconds, chosen on dev clips with pauses put in and joined ones."""

    threshold: float = 0.5  # probability at which speech begins
    hysteresis: float = 0.15  # so much below, it ends (silero's own)
    least: float = 0.06  # shorter regions are clicks
    bridge: float = 0.1  # shorter gaps are part of a region
    pause: float = 2.0  # silence that is longer is cut ...
    kept: float = 1.0  # ... to so much
    between: float = 1.0  # kept at most of the pause to either side of a window


@dataclass(frozen=True)
class Window:
    """Parts of a recording that are decoded in one go, what lies between them left out.

    `speech` counts the samples in regions of speech; 0: none was detected, so that text must be likely by itself.
    """

    spans: tuple[Span, ...]
    speech: int

    @property
    def samples(self) -> int:
        """Samples of all its spans."""
        return sum(b - a for a, b in self.spans)

    def of(self, audio: Audio) -> Audio:
        """The window's samples out of the recording."""
        if len(self.spans) == 1:
            return audio[self.spans[0][0] : self.spans[0][1]]
        return np.concatenate([audio[a:b] for a, b in self.spans])

    def joints(self, rate: int) -> list[float]:
        """Where its spans meet, in seconds of the window: a pause was cut out there."""
        sizes = itertools.accumulate(b - a for a, b in self.spans)
        return [size / rate for size in sizes][:-1]

    def original(self, seconds: float, rate: int, ends: bool = False) -> float:
        """The time in the recording of `seconds` in the window; at a joint, the end before it for what `ends` there."""
        left = seconds * rate
        for a, b in self.spans:
            if left < b - a or (ends and left <= b - a):
                return (a + left) / rate
            left -= b - a
        return self.spans[-1][1] / rate


def regions(probability: NDArray[np.floating], block: int, settings: SpeechSettings, rate: int) -> list[Span]:
    """Regions of speech, in samples, from the `probability` (blocks,) of every block of `block` samples.

    >>> regions(np.array([0, .9, .9, .4, .2, 0, 0, 0, .9, .9]), 1600, SpeechSettings(), 16000)
    [(1600, 6400), (12800, 16000)]
    """
    spans: list[Span] = []
    start: int | None = None
    release = settings.threshold - settings.hysteresis
    for i, p in enumerate([*probability.tolist(), 0.0]):
        if start is None and p >= settings.threshold:
            start = i
        elif start is not None and p < release:
            if spans and (start * block - spans[-1][1]) < settings.bridge * rate:
                spans[-1] = (spans[-1][0], i * block)
            else:
                spans.append((start * block, i * block))
            start = None
    return [(a, b) for a, b in spans if b - a >= settings.least * rate]


def windows(
    speech: Sequence[Span], audio: Audio, longest: int | None, settings: SpeechSettings, rate: int
) -> list[Window]:
    """Windows of at most `longest` samples over all regions of `speech`; each begins and ends in a pause.

    Silence longer than `settings.pause` is cut short, within windows and at either end of the recording. What is then
    too long is divided at its longest pause, the more central one of equals, and speech without any pause in its
    quietest place. None: all in one window.
    """
    if not speech:
        return []
    parts = [list(speech)] if longest is None else _divided(list(speech), audio, longest, settings, rate)
    made, most = [], round(settings.between * rate)
    for i, part in enumerate(parts):
        low = max((parts[i - 1][-1][1] + part[0][0]) // 2, part[0][0] - most) if i else 0
        high = min((part[-1][1] + parts[i + 1][0][0]) // 2, part[-1][1] + most) if i + 1 < len(parts) else len(audio)
        spans = _without_pauses(part, low, high, settings, rate)
        made.append(Window(spans, sum(b - a for a, b in part)))
    return made


def gaps(made: Sequence[Window], audio: Audio) -> list[Span]:
    """The parts of a recording that lie in no window."""
    spans = [(0, 0), *(span for window in made for span in window.spans), (len(audio), len(audio))]
    return [(before[1], after[0]) for before, after in itertools.pairwise(spans) if after[0] > before[1]]


def _without_pauses(part: list[Span], low: int, high: int, settings: SpeechSettings, rate: int) -> tuple[Span, ...]:
    """From `low` to `high` without the middle of long pauses."""
    long, half = settings.pause * rate, round(settings.kept * rate / 2)
    start = low if part[0][0] - low <= long else part[0][0] - half
    spans = []
    for (_, end), (begin, _) in itertools.pairwise(part):
        if begin - end > long:
            spans.append((start, end + half))
            start = begin - half
    last = part[-1][1]
    return (*spans, (start, high if high - last <= long else last + half))


def _divided(part: list[Span], audio: Audio, longest: int, settings: SpeechSettings, rate: int) -> list[list[Span]]:
    """The regions of `part` in as few lists as long pauses suggest, each short enough for a window."""
    start, end = part[0][0], part[-1][1]
    edge = round(settings.between * rate)
    spans = _without_pauses(part, max(0, start - edge), min(len(audio), end + edge), settings, rate)
    if sum(b - a for a, b in spans) <= longest:
        return [part]
    if len(part) == 1:
        room = longest - 2 * edge if longest > 4 * edge else longest // 2
        if end - start <= room:
            return [part]
        cut = next_cut(audio[:end], start, max(room, 1), rate)
        return [[(start, cut)], *_divided([(cut, end)], audio, longest, settings, rate)]

    def worth(k: int) -> float:
        """A pause counts for its length, and up to twice as much in the middle as at the ends."""
        gap, at = part[k][0] - part[k - 1][1], (part[k][0] + part[k - 1][1]) / 2
        return gap * (1 + 2 * min(at - start, end - at) / (end - start))

    best = max(range(1, len(part)), key=worth)
    return [
        *_divided(part[:best], audio, longest, settings, rate),
        *_divided(part[best:], audio, longest, settings, rate),
    ]
