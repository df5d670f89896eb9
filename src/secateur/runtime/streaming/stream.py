"""The stream itself: samples in, events out; pauses separate utterances, a `StreamDecoder` recognises."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from ...base.errors import SecateurError
from ...base.files import Json
from ...decode.segments import Audio, Word, confidence
from ..vad import Detector
from .events import StreamEvent, StreamOptions

BEFORE = 0.3  # seconds before speech was noticed that belong to the utterance
AFTER = 0.2  # and after it ended
RELEASE = 0.15  # below the threshold by so much, speech has stopped (silero's own hysteresis)
SHORTEST = 0.1  # seconds of speech that make an utterance


@dataclass(frozen=True)
class StreamResult:
    """An utterance as decoded so far; times are seconds from the utterance's start, `stable` counts words."""

    words: tuple[Word, ...]
    stable: int


class StreamDecoder(Protocol):
    """Recognises one utterance after the other."""

    joiner: str  # between words

    def start(self) -> None:
        """A new utterance begins."""

    def partial(self, samples: Audio) -> StreamResult | None:
        """The result of `samples`, the utterance so far; None: nothing new."""

    def final(self, samples: Audio) -> StreamResult:
        """The result of `samples`, the whole utterance."""


class Stream:
    """Feed samples, get events. Not for several threads at once."""

    def __init__(
        self, decoder: StreamDecoder, endpointer: Endpointer, options: StreamOptions, sample_rate: int
    ) -> None:
        self.sample_rate = sample_rate
        self.decoder, self._ends, self._options = decoder, endpointer, options
        self._audio = np.zeros(0, np.float32)
        self._first = 0  # number of the first sample in `_audio`
        self._looked = 0  # up to where the endpointer has processed
        self._start: int | None = None  # of the utterance
        self._decoded_to = 0  # up to where the last partial went
        self._finished = False
        self._delays: dict[str, list[float]] = {"partial": [], "final": []}
        self._compute: list[float] = []

    def feed(self, samples: Audio) -> list[StreamEvent]:
        """Process `samples` (n,), floats from -1 to 1; returns new events.

        Raises:
            SecateurError: samples that are not one channel of finite floats, or a stream that was finished.
        """
        if self._finished:
            raise SecateurError("this stream is finished: open another one")
        samples = np.asarray(samples)
        if samples.ndim != 1 or not np.issubdtype(samples.dtype, np.floating):
            raise SecateurError(f"a stream takes one channel of floats, found {samples.dtype} of shape {samples.shape}")
        if not np.isfinite(samples).all():
            raise SecateurError("samples contain NaN or infinity")
        self._audio = np.concatenate([self._audio, samples.astype(np.float32, copy=False)])
        events, size = [], self._ends.detector.size
        while self._now - self._looked >= size:
            events += self._block(self._part(self._looked, self._looked + size))
        self._drop_samples()
        return events

    def finish(self) -> list[StreamEvent]:
        """The stream has ended: the last utterance's result."""
        events = self._final(min(self._now, self._ends.spoken)) if self._start is not None else []
        self._finished = True
        return events

    def report(self) -> Json:
        """Latency so far, in seconds: median and 95th percentile of the events' delays, compute time, its share."""
        statistics: Json = {"seconds": round(self._now / self.sample_rate, 3)}
        for kind, delays in self._delays.items():
            statistics[kind] = {"events": len(delays)}
            if delays:
                statistics[kind] |= {"delay": round(float(np.median(delays)), 3)}
                statistics[kind] |= {"delay_95": round(float(np.percentile(delays, 95)), 3)}
        if self._compute:
            statistics["compute"] = round(float(np.median(self._compute)), 4)
            statistics["compute_95"] = round(float(np.percentile(self._compute, 95)), 4)
            statistics["real_time_factor"] = round(sum(self._compute) * self.sample_rate / max(1, self._now), 4)
        return statistics

    @property
    def began(self) -> float | None:
        """Where the utterance that is spoken now began, in seconds; None: nobody speaks."""
        return None if self._start is None else self._start / self.sample_rate

    @property
    def _now(self) -> int:
        return self._first + len(self._audio)

    def _part(self, start: int, end: int) -> Audio:
        return self._audio[max(0, start - self._first) : end - self._first]

    def _block(self, samples: Audio) -> list[StreamEvent]:
        """One block for the endpointer, and what follows from it."""
        at, rate = self._looked, self.sample_rate
        began = self._ends.block(samples, at)
        self._looked = at + len(samples)
        if self._start is None:
            if began is not None:
                self._start = max(self._first, began - round(BEFORE * rate))
                self._decoded_to = self._start
                self.decoder.start()
            return []
        if not self._ends.speaking:
            return self._final(self._ends.spoken)
        if self._looked - self._start >= self._options.longest * rate:
            events = self._final(self._looked)
            self._start = self._decoded_to = self._looked
            self.decoder.start()
            return events
        if self._looked - self._decoded_to >= self._options.interval * rate:
            return self._partial()
        return []

    def _partial(self) -> list[StreamEvent]:
        assert self._start is not None
        begin = time.perf_counter()
        self._decoded_to = self._looked
        result = self.decoder.partial(self._part(self._start, self._looked))
        return [] if result is None else [self._event("partial", result, self._looked, begin)]

    def _final(self, spoken: int) -> list[StreamEvent]:
        """End the utterance, whose speech ended at sample `spoken`."""
        assert self._start is not None
        begin = time.perf_counter()
        end = min(self._looked, spoken + round(AFTER * self.sample_rate))
        end = self._now if self._now - end < self._ends.detector.size else end
        result = self.decoder.final(self._part(self._start, end))
        event = self._event("final", result, min(spoken, end), begin)
        self._start = None
        return [event] if event.text else []

    def _event(self, kind: Literal["partial", "final"], result: StreamResult, end: int, begin: float) -> StreamEvent:
        assert self._start is not None
        start, now = self._start / self.sample_rate, self._now / self.sample_rate
        words = tuple(
            Word(w.text, round(w.start + start, 3), round(w.end + start, 3), w.confidence) for w in result.words
        )
        join = self.decoder.joiner.join
        text, stable = join(w.text for w in words), join(w.text for w in words[: result.stable])
        known = end / self.sample_rate
        if kind == "partial":
            known = words[result.stable - 1].end if result.stable else start
        compute = time.perf_counter() - begin
        delay = max(0.0, now - known)
        self._delays[kind].append(delay + compute)
        self._compute.append(compute)
        sure = confidence([float(np.log(max(w.confidence, 1e-9))) for w in words]) if words else None
        stable = text if kind == "final" else stable
        end_seconds = round(end / self.sample_rate, 3)
        return StreamEvent(
            kind, text, stable, round(start, 3), end_seconds, words, round(delay, 3), round(compute, 4), sure
        )

    def _drop_samples(self) -> None:
        """Drop samples that no utterance needs."""
        keep = self._start if self._start is not None else self._looked - round((BEFORE + 0.5) * self.sample_rate)
        drop = keep - self._first
        if drop > self.sample_rate:
            self._audio, self._first = self._audio[drop:], keep


class Endpointer:
    """Detects, block after block, where speech begins and where a pause has ended it."""

    def __init__(self, detector: Detector, options: StreamOptions, sample_rate: int) -> None:
        self.detector, self.threshold = detector, options.threshold
        self._pause, self._least = options.pause * sample_rate, SHORTEST * sample_rate
        self.speaking = False
        self._began: int | None = None  # first sample of what may become speech
        self.spoken = 0  # the sample after the last speech

    def block(self, samples: Audio, at: int) -> int | None:
        """Process one block that begins at sample `at`; returns the sample at which speech began, once that is certain.

        `speaking` turns false after a pause; `spoken` is where speech ended.
        """
        probability = self.detector(samples)
        if probability >= self.threshold or (self.speaking and probability >= self.threshold - RELEASE):
            self.spoken = at + len(samples)
            if not self.speaking:
                self._began = at if self._began is None else self._began
                if self.spoken - self._began >= self._least:
                    self.speaking, began, self._began = True, self._began, None
                    return began
        else:
            self._began = None
            if self.speaking and at + len(samples) - self.spoken >= self._pause:
                self.speaking = False
        return None
