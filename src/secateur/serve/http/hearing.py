"""One client's stream: PCM in, partial and final texts out, in the engine's turns."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from ...base.errors import SecateurError
from ...models.decoding.options import DecodingOptions
from ...models.decoding.segments import Audio
from ..recogniser import Recogniser
from .endpoint import Endpointer
from .engine import Engine, RefusedError

RATES = (8_000, 48_000)  # Hz that a client may send
EVERY = 1.0  # seconds of new audio behind one partial text
LONGEST = 15.0  # seconds after which a segment is final though nobody paused


@dataclass(frozen=True)
class Event:
    """A text from `start` to `end` (seconds from the stream's begin); it changes no more when `final`."""

    final: bool
    text: str
    start: float
    end: float
    words: tuple[dict[str, Any], ...] = ()
    audio: Audio | None = None  # what a final text was heard in, at the recogniser's rate


class Hearing:
    """Recognises a stream piece by piece: a piece ends at a pause, or when it is as long as it may be.

    Args:
        sample_rate: Hz of what the client sends.
        partials: send texts that may still change; they are left out while others wait for their turn.
    """

    def __init__(
        self, engine: Engine, recogniser: Recogniser, sample_rate: int, options: DecodingOptions, partials: bool = True
    ) -> None:
        if not RATES[0] <= sample_rate <= RATES[1]:
            raise RefusedError(400, "invalid_request_error", f"sample_rate must be from {RATES[0]} to {RATES[1]} Hz")
        self.engine, self.recogniser, self.options, self.partials = engine, recogniser, options, partials
        self.rate = recogniser.sample_rate
        self._resample = None
        if sample_rate != self.rate:
            self._resample = soxr.ResampleStream(sample_rate, self.rate, 1, dtype="float32")
        self._odd = b""
        self._endpointer = Endpointer(self.rate)
        self._piece: list[NDArray[np.float32]] = []
        self._length = 0  # samples in the piece
        self._before = 0  # samples before it
        self._asked = 0  # samples of the piece that the last partial text heard
        self._speech = False

    @property
    def seconds(self) -> float:
        """Audio that has come in."""
        return (self._before + self._length) / self.rate

    async def feed(self, data: bytes) -> AsyncIterator[Event]:
        """16-bit little-endian mono samples; a sample may be cut between two calls.

        Raises:
            RefusedError: 413, the stream is longer than the limit.
        """
        data, self._odd = self._odd + data, b""
        if len(data) % 2:
            data, self._odd = data[:-1], data[-1:]
        samples = np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32768)
        if self._resample is not None:
            samples = self._resample.resample_chunk(samples)
        # Large messages are heard as if they had come in time.
        for at in range(0, len(samples), self.rate // 5):
            async for event in self._take(samples[at : at + self.rate // 5]):
                yield event

    async def finish(self) -> AsyncIterator[Event]:
        """The end of the stream: what was not final yet."""
        if self._resample is not None:
            async for event in self._take(self._resample.resample_chunk(np.zeros(0, np.float32), last=True)):
                yield event
        if self._speech:
            yield await self._text(final=True)

    async def _take(self, samples: Audio) -> AsyncIterator[Event]:
        if not len(samples):
            return
        self._piece.append(samples)
        self._length += len(samples)
        if self.seconds > self.engine.limits.seconds:
            raise RefusedError(413, "invalid_request_error", f"Longer than {self.engine.limits.seconds:g} s")
        self._speech, paused = self._endpointer.take(samples)
        if self._speech and (paused or self._length >= LONGEST * self.rate):
            yield await self._text(final=True)
        elif self._speech and self.partials and self._length - self._asked >= EVERY * self.rate:
            self._asked = self._length
            if not self.engine.busy:
                yield await self._text(final=False)
        elif not self._speech and self._length > 2 * self.rate:
            self._drop(self._length - self.rate // 2)  # nobody speaks yet: keep half a second to begin with

    async def _text(self, final: bool) -> Event:
        audio = np.concatenate(self._piece)
        self._piece = [audio]
        found = await self.engine.in_turn(self.recogniser.transcribe, audio, replace(self.options, word_times=final))
        start = self._before / self.rate
        words = tuple(
            {"word": w.text, "start": round(start + w.start, 3), "end": round(start + w.end, 3), "sure": w.confidence}
            for segment in found.segments for w in segment.words
        )  # fmt: skip
        end = round(start + len(audio) / self.rate, 3)
        event = Event(final, found.text, round(start, 3), end, words, audio if final else None)
        if final:
            self.engine.metrics.audio.inc(len(audio) / self.rate)
            self._drop(self._length)
            self._endpointer = Endpointer(self.rate, self._endpointer)
            self._speech = False
        return event

    def _drop(self, samples: int) -> None:
        """Forget so many samples at the piece's begin."""
        audio = np.concatenate(self._piece)[samples:] if self._piece else np.zeros(0, np.float32)
        self._piece = [audio] if len(audio) else []
        self._before += samples
        self._length -= samples
        self._asked = 0


def options_of(language: str | None) -> DecodingOptions:
    """How streams are decoded: one attempt, greedily.

    Raises:
        SecateurError: a language that is none.
    """
    if language is not None and not 2 <= len(language) <= 12:
        raise SecateurError(f"'{language[:20]}' is not a language code such as en")
    return DecodingOptions(language=language, timestamps=False)
