"""Wyoming (https://github.com/OHF-Voice/wyoming), as voice assistants for the home speak it: describe, transcribe."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from functools import partial
from typing import Protocol

from wyoming.asr import Transcribe, Transcript, TranscriptChunk, TranscriptStart, TranscriptStop
from wyoming.audio import AudioChunk, AudioChunkConverter, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event
from wyoming.info import AsrModel, AsrProgram, Attribution, Describe, Info, IntentProgram
from wyoming.ping import Ping, Pong
from wyoming.server import AsyncEventHandler, AsyncTcpServer

from ..base.errors import SecateurError
from ..base.files import Json
from ..base.version import __version__
from .http.engine import Engine, RefusedError, sendable
from .http.presence import ClientLeftError
from .http.stream_session import StreamSession, options_of

MOST_HEADER = 65_536  # bytes of the JSON line, and of further data
MOST_PAYLOAD = 1 << 20  # bytes; half a minute at 16 kHz, clients send tenths of a second
RATES = (8_000, 48_000)  # Hz


async def read_event(reader: asyncio.StreamReader) -> Event | None:
    """The next event; None at the end of the stream. `reader` refuses lines above its own limit.

    Raises:
        SecateurError: not an event, or a larger one than any client needs.
        IncompleteReadError: the stream ended inside an event.
    """
    try:
        line = await reader.readline()
    except ValueError:
        raise SecateurError(f"an event's first line has more than {MOST_HEADER} bytes") from None
    if not line:
        return None
    header = _table(line)
    data = header.get("data") or {}
    if not isinstance(data, dict) or not isinstance(header.get("type"), str):
        raise SecateurError("not an event: it needs a type, and data that is a table")
    length = _length(header, "data_length", MOST_HEADER)
    if length:
        data = data | _table(await reader.readexactly(length))
    length = _length(header, "payload_length", MOST_PAYLOAD)
    return Event(header["type"], data, await reader.readexactly(length) if length else None)


def checked_chunk(event: Event) -> AudioChunk:
    """The sound in an event.

    Raises:
        SecateurError: a rate, a width or a number of channels that no microphone has, or half a sample.
    """
    chunk = AudioChunk.from_event(event)
    for name, least, most in (("rate", *RATES), ("width", 1, 4), ("channels", 1, 2)):
        value = getattr(chunk, name)
        if type(value) is not int or not least <= value <= most:
            raise SecateurError(f"audio-chunk: {name} must be from {least} to {most}")
    if len(chunk.audio) % (chunk.width * chunk.channels):
        raise SecateurError("audio-chunk: its bytes are no whole number of samples")
    return chunk


def _table(data: bytes) -> Json:
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise SecateurError("not an event: one line of JSON, a table, was expected")
    return values


def _length(header: Json, name: str, most: int) -> int:
    value = header.get(name) or 0
    if type(value) is not int or not 0 <= value <= most:
        raise SecateurError(f"{name} must be from 0 to {most}")
    return value


LINGER = 1.0  # seconds
OURS = Attribution("secateur", "https://pypi.org/project/secateur")


class IntentService(Protocol):
    """What answers events about intents, where there is an assistant."""

    def programs(self) -> list[IntentProgram]:
        """For `describe`."""

    async def answer(self, event: Event) -> list[Event] | None:
        """Events in answer to one; None: not one of its own."""


class WyomingServer:
    """A TCP server beside the HTTP one, in the same loop and with the same turns."""

    def __init__(self, engine: Engine, host: str, port: int, intents: IntentService | None = None) -> None:
        self.engine, self.intents = engine, intents
        self._server = AsyncTcpServer(host, port)

    async def start(self) -> None:
        """Listen.

        Raises:
            SecateurError: the port is taken.
        """
        try:
            await self._server.start(partial(Handler, engine=self.engine, intents=self.intents))
        except OSError as problem:
            raise SecateurError(f"Wyoming's port {self._server.port}: {problem.strerror}") from problem

    async def stop(self) -> None:
        """Close what is still open."""
        await self._server.stop()


class Handler(AsyncEventHandler):
    """One connection; it may carry one command after another."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        engine: Engine,
        intents: IntentService | None = None,
    ) -> None:
        super().__init__(reader, writer)
        self.engine, self.intents = engine, intents
        self._asked = Transcribe()
        self._session: StreamSession | None = None
        self._texts: list[str] = []
        self._converter: AudioChunkConverter | None = None
        self._place = contextlib.AsyncExitStack()
        self._status = 200  # as HTTP would have it

    async def run(self) -> None:
        """Until the client goes, says nothing for too long, or does not read."""
        begun = time.perf_counter()
        try:
            with self.engine.connected():
                await self._run()
            await self._linger()
        except RefusedError as problem:
            await self._tell(problem.message, str(problem.status))
            await self._linger()
        except (ConnectionError, TimeoutError, ClientLeftError, asyncio.IncompleteReadError):
            self._status = 499
            self.writer.transport.abort()
        finally:
            await self._place.aclose()
            self.writer.close()
            if self.engine.log is not None:
                peer = self.writer.get_extra_info("peername") or ("",)
                self.engine.log.write("wyoming", str(peer[0]), "", self._status, time.perf_counter() - begun)

    async def _linger(self) -> None:
        """After an error, read on for a moment: a connection closed on a client in full flow takes the error along."""
        if self._status == 200:
            return
        with contextlib.suppress(OSError, TimeoutError):
            self.writer.write_eof()
            async with asyncio.timeout(LINGER):
                while await self.reader.read(65_536):
                    pass

    async def _run(self) -> None:
        limits, patience = self.engine.limits, self.engine.limits.patience
        while True:
            try:
                event = await asyncio.wait_for(read_event(self.reader), patience)
            except TimeoutError:
                await self._tell(f"Nothing came for {patience:g} s", "408")
                return
            except SecateurError as problem:
                await self._tell(str(problem), "400")
                return
            if event is None or not await self.handle_event(event):
                return
            patience = limits.idle

    async def handle_event(self, event: Event) -> bool:
        """One event of the client's; false ends the connection."""
        try:
            await self._handle(event)
        except RefusedError as problem:
            await self._tell(problem.message, str(problem.status))
            return False
        except (SecateurError, LookupError, ValueError, TypeError, AttributeError) as problem:
            await self._tell(str(problem) or "not understood", "400")
            return False
        return not (self.engine.stopping.is_set() and self._session is None)

    async def write_event(self, event: Event) -> None:
        """Send an event.

        Raises:
            TimeoutError: the client does not read.
        """
        await asyncio.wait_for(super().write_event(event), self.engine.limits.patience)

    async def _handle(self, event: Event) -> None:
        if Describe.is_type(event.type):
            await self.write_event(self._info().event())
        elif Ping.is_type(event.type):
            await self.write_event(Pong(Ping.from_event(event).text).event())
        elif Transcribe.is_type(event.type):
            self._asked = Transcribe.from_event(event)
            self.engine.model(self._asked.name)
        elif AudioStart.is_type(event.type):
            await self._begin()
            await self.write_event(TranscriptStart(language=self._asked.language).event())
        elif AudioChunk.is_type(event.type):
            if self._session is None or self._converter is None:
                raise SecateurError("audio-chunk came before audio-start")
            chunk = self._converter.convert(checked_chunk(event))
            async for update in self._session.feed(chunk.audio):
                await self._chunk(update.text)
        elif AudioStop.is_type(event.type) and self._session is not None:
            async for update in self._session.finish():
                await self._chunk(update.text)
            await self.write_event(Transcript("".join(self._texts), language=self._asked.language).event())
            await self.write_event(TranscriptStop().event())
            self._session = None
            await self._place.aclose()
        elif self.intents is not None:
            for answer in await self.intents.answer(event) or ():
                await self.write_event(answer)

    async def _begin(self) -> None:
        """Take the place of a stream until its transcript is sent."""
        await self._place.aclose()
        peer = self.writer.get_extra_info("peername") or ("",)
        await self._place.enter_async_context(self.engine.stream("wyoming", str(peer[0])))
        recogniser = self.engine.model(self._asked.name)
        rate = recogniser.sample_rate
        options = options_of(self._asked.language, self.engine.listening.decoding)
        self._session = StreamSession(self.engine, recogniser, rate, options, False, self.writer.transport)
        self._converter = AudioChunkConverter(rate=rate, width=2, channels=1)
        self._texts = []

    async def _chunk(self, text: str) -> None:
        if text:
            self._texts.append((" " if self._texts else "") + text)
            await self.write_event(TranscriptChunk(self._texts[-1]).event())

    async def _tell(self, text: str, code: str) -> None:
        self._status = int(code)
        await self.write_event(Error(sendable(text), code).event())

    def _info(self) -> Info:
        models = []
        for name, recogniser in self.engine.models.items():
            languages = recogniser.languages
            models.append(AsrModel(name, OURS, True, f"secateur model {name}", __version__, languages))
        program = AsrProgram(
            "secateur", OURS, True, "Pruned speech recognition", __version__, models,
            supports_transcript_streaming=True, requires_external_vad=False,
        )  # fmt: skip
        return Info(asr=[program], intent=self.intents.programs() if self.intents is not None else [])
