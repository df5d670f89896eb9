"""One client's stream: PCM in, partial and final texts out, in the engine's turns."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import ParamSpec, TypeVar

import numpy as np
import soxr

from ...base.errors import SecateurError
from ...base.files import Json
from ...decode.options import DecodingOptions
from ...decode.segments import Audio, Transcript
from ...runtime.recogniser import Recogniser
from ...runtime.streaming import StreamEvent, StreamOptions, open_stream
from ...runtime.streaming.stream import AFTER, StreamDecoder, StreamResult
from .engine import Engine, RefusedError
from .presence import while_there

P = ParamSpec("P")
T = TypeVar("T")

RATES = (8_000, 48_000)  # Hz that a client may send
PIECE = 0.2  # seconds that are decoded in one turn: who sends much at once does not keep the others
SPARE = 2.0  # seconds of audio kept beyond the longest utterance


@dataclass(frozen=True)
class Event:
    """A text from `start` to `end` (seconds from the stream's begin); it changes no more when `final`."""

    final: bool
    text: str
    stable: str
    start: float
    end: float
    words: tuple[Json, ...] = ()
    audio: Audio | None = None  # what a final text was decoded from, at the recogniser's rate


class PoliteDecoder:
    """A decoder that gives no partial results while others wait their turn, and spends a third of its time on them."""

    def __init__(self, decoder: StreamDecoder, engine: Engine) -> None:
        self._decoder, self._engine = decoder, engine
        self.joiner = decoder.joiner
        self._rests = 0.0  # until then

    def start(self) -> None:
        """See `streaming.stream.StreamDecoder`."""
        self._decoder.start()

    def partial(self, samples: Audio) -> StreamResult | None:
        """None while somebody waits, or soon after the last one: on a slow machine the stream would fall behind."""
        begun = time.perf_counter()
        if self._engine.crowded or begun < self._rests:
            return None
        result = self._decoder.partial(samples)
        ended = time.perf_counter()
        self._rests = ended + 2 * (ended - begun)
        return result

    def final(self, samples: Audio) -> StreamResult:
        """See `streaming.stream.StreamDecoder`."""
        return self._decoder.final(samples)


class StreamSession:
    """Recognises a stream utterance by utterance.

    Args:
        sample_rate: Hz of what the client sends.
        partials: send texts that may still change.
        transport: the client's connection: nothing is computed when it has left.
        listening: how speech is detected; None: as the engine does.

    Raises:
        RefusedError: 400, a rate outside 8 to 48 kHz.
    """

    def __init__(
        self, engine: Engine, recogniser: Recogniser, sample_rate: int, options: DecodingOptions, partials: bool = True,
        transport: asyncio.BaseTransport | None = None, listening: StreamOptions | None = None,
    ) -> None:  # fmt: skip
        if not RATES[0] <= sample_rate <= RATES[1]:
            raise RefusedError(400, "invalid_request_error", f"sample_rate must be from {RATES[0]} to {RATES[1]} Hz")
        self.engine, self._transport = engine, transport
        self.rate = recogniser.sample_rate
        self._rewrite, self._language = recogniser.rewrite, options.language
        known = listening or engine.listening
        longest = min(known.longest, recogniser.window_seconds)
        interval = known.interval if partials else longest
        listening = replace(known, decoding=options, longest=longest, trim=min(known.trim, longest), interval=interval)
        self._stream = open_stream(recogniser, listening)
        self._stream.decoder = PoliteDecoder(self._stream.decoder, engine)
        self._resample = None
        if sample_rate != self.rate:
            self._resample = soxr.ResampleStream(sample_rate, self.rate, 1, dtype="float32")
        self._odd = b""
        self._waiting = np.zeros(0, np.float32)  # too short to take a turn for
        self._kept = np.zeros(0, np.float32)
        self._most = round((longest + SPARE) * self.rate)
        self._seen = 0  # samples that have come in

    @property
    def seconds(self) -> float:
        """Audio that has come in."""
        return self._seen / self.rate

    @property
    def began(self) -> float | None:
        """Where the utterance that is spoken now began, in seconds; None: nobody speaks."""
        return self._stream.began

    async def feed(self, data: bytes) -> AsyncIterator[Event]:
        """16-bit little-endian mono samples; a sample may be cut between two calls.

        Raises:
            RefusedError: 413, the stream is longer than the limit.
        ClientLeftError: nobody waits for the text.
        """
        data, self._odd = self._odd + data, b""
        if len(data) % 2:
            data, self._odd = data[:-1], data[-1:]
        samples = np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32768)
        if self._resample is not None:
            samples = self._resample.resample_chunk(samples)
        self._waiting = np.concatenate([self._waiting, samples])
        if len(self._waiting) >= round(PIECE * self.rate):
            samples, self._waiting = self._waiting, np.zeros(0, np.float32)
            async for event in self._take(samples):
                yield event

    async def finish(self) -> AsyncIterator[Event]:
        """The end of the stream: what was not final yet."""
        last = self._waiting
        if self._resample is not None:
            last = np.concatenate([last, self._resample.resample_chunk(np.zeros(0, np.float32), last=True)])
        async for event in self._take(last):
            yield event
        for update in await self._turn(self._stream.finish):
            yield self._event(update)

    async def _take(self, samples: Audio) -> AsyncIterator[Event]:
        size = round(PIECE * self.rate)
        for at in range(0, len(samples), size):
            piece = samples[at : at + size]
            self._seen += len(piece)
            if self.seconds > self.engine.limits.seconds:
                raise RefusedError(413, "invalid_request_error", f"Longer than {self.engine.limits.seconds:g} s")
            self._kept = np.concatenate([self._kept, piece])[-self._most :]
            for update in await self._turn(self._stream.feed, piece):
                yield self._event(update)

    async def _turn(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await while_there(self._transport, self.engine.in_turn(work, *args, **kwargs))

    def _event(self, update: StreamEvent) -> Event:
        final = update.kind == "final"
        words = tuple(
            {"word": w.text, "start": w.start, "end": w.end, "confidence": w.confidence} for w in update.words
        )
        audio = None
        if final:
            self.engine.metrics.audio.inc(update.end - update.start)
            first = self._seen - len(self._kept)
            begin, end = (max(0, round(at * self.rate) - first) for at in (update.start, update.end + AFTER))
            audio = self._kept[begin:end]
        text = update.text
        if self._rewrite is not None:
            text = self._rewrite(Transcript(text, self._language, (), 0.0)).text
        return Event(final, text, update.stable, update.start, update.end, words if final else (), audio)


def options_of(language: str | None, usual: DecodingOptions) -> DecodingOptions:
    """How streams are decoded: as `usual` with one attempt, so that no sound takes more than its share of time.

    Raises:
        SecateurError: a language that is none.
    """
    if language is not None and not 2 <= len(language) <= 12:
        raise SecateurError(f"'{language[:20]}' is not a language code such as en")
    return replace(usual, language=language or usual.language, timestamps=False, temperatures=(0.0,))
