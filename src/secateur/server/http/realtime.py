"""`/v1/realtime` as OpenAI's clients use it to transcribe (https://platform.openai.com/docs/guides/realtime-transcription).

client: session.update (or transcription_session.update), input_audio_buffer.append, .commit, .clear
server: session.created, session.updated, input_audio_buffer.speech_started, .speech_stopped, .committed, .cleared,
        conversation.item.added, .done (or .created), error,
        conversation.item.input_audio_transcription.delta, .completed, .failed

With turn detection, deltas are what is certain while somebody speaks, and a pause commits; without it the client does.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import json
import secrets
from math import log
from typing import Any

import numpy as np
import soxr
from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse

from ...base.errors import SecateurError, nearest
from ...base.files import Json
from ...runtime.recogniser import Recogniser
from .answers import logprobs, pieces_of
from .engine import Engine, RefusedError, sendable
from .presence import SCOPE, ClientLeftError, while_there
from .realtime_session import Session, expanded
from .socket import receive
from .stream_session import Event, StreamSession, options_of

KEY = "openai-insecure-api-key."  # of a subprotocol: how a browser sends one
SHORTEST = 0.1  # seconds that can be committed
UPDATES = ("session.update", "transcription_session.update")
KNOWN = (*UPDATES, "input_audio_buffer.append", "input_audio_buffer.commit", "input_audio_buffer.clear")


def routes(engine: Engine) -> APIRouter:
    """The WebSocket's route."""
    router = APIRouter()

    @router.websocket("/v1/realtime")
    async def realtime(socket: WebSocket) -> None:
        offered = socket.scope.get("subprotocols", [])
        own = next((one.removeprefix(KEY) for one in offered if one.startswith(KEY)), "")
        header = socket.headers.get("authorization", "").removeprefix("Bearer ").strip()
        if not engine.admits(header or own):
            about = {"message": "Incorrect API key", "type": "invalid_request_error", "param": None}
            await socket.send_denial_response(JSONResponse({"error": {**about, "code": "invalid_api_key"}}, 401))
            return
        await socket.accept("realtime" if "realtime" in offered else None)
        with contextlib.suppress(WebSocketDisconnect, ClientLeftError, RuntimeError):  # nobody to tell
            await Conversation(engine, socket).run()

    return router


class Conversation:
    """One connection."""

    def __init__(self, engine: Engine, socket: WebSocket) -> None:
        self.engine, self.socket = engine, socket
        self.transport: asyncio.BaseTransport | None = socket.scope.get(SCOPE)
        self.old = "realtime=v1" in socket.headers.get("openai-beta", "")
        self.number = _number("sess")
        self.settings = Session(model=socket.query_params.get("model"))
        self._stream: StreamSession | None = None  # with turn detection
        self._offset = 0.0  # seconds of the connection before the stream began
        self._buffer: list[bytes] = []  # 16-bit samples that the client has not committed yet, without it
        self._item = ""  # of the utterance that is spoken now
        self._began = 0.0  # where it began, in the stream's seconds
        self._sent = ""  # of its text
        self._before: str | None = None  # the item before
        self._seconds = 0.0

    async def run(self) -> None:
        """Until the client goes, or a limit ends it."""
        address = self.socket.client.host if self.socket.client else ""
        try:
            async with self.engine.stream("realtime", address):
                self._recogniser()  # a model that is not here is refused at once
                await self._tell("created")
                while True:
                    received = await receive(self.engine, self.socket)
                    if received.get("type") == "stop":
                        await self._end_turn()
                        break
                    await self._take(received)
            await self.socket.close(1012)
        except RefusedError as problem:
            await self._error(problem, None)
            await self.socket.close({413: 1009, 429: 1013, 503: 1012}.get(problem.status, 1008))

    async def _take(self, received: Json) -> None:
        """One message; what is wrong with it is an error event, and the session goes on."""
        event_id = None
        try:
            event = _event(received.get("text"))
            event_id = event.get("event_id") if isinstance(event.get("event_id"), str) else None
            await self._handle(event)
        except RefusedError as problem:
            if problem.status in (413, 503):
                raise
            await self._error(problem, event_id)
        except SecateurError as problem:
            await self._error(RefusedError(400, "invalid_request_error", str(problem)), event_id)

    async def _handle(self, event: Json) -> None:
        kind = event["type"]
        if kind in UPDATES:
            self.old = kind == UPDATES[1]
            settings = self.settings.updated(event.get("session"))
            self._recogniser(settings.model)
            await self._end_turn()
            self.settings, self._stream, self._buffer = settings, None, []
            await self._tell("updated")
        elif kind == "input_audio_buffer.append":
            await self._append(_samples(event.get("audio"), self.settings.kind))
        elif kind == "input_audio_buffer.commit":
            await self._commit()
        elif kind == "input_audio_buffer.clear":
            self._drop()
            await self._send("input_audio_buffer.cleared")
        else:
            known = f"{nearest(kind, KNOWN)}; known: {', '.join(KNOWN)}"
            text = f"'{kind[:60]}' is not part of a transcription session{known}"
            raise RefusedError(400, "invalid_request_error", text, param="type", code="unknown_event")

    async def _append(self, data: bytes) -> None:
        stream = self._listening() if self.settings.vad is not None else None
        self._seconds += len(data) / 2 / self.settings.rate
        if self._seconds > self.engine.limits.seconds:
            raise RefusedError(413, "invalid_request_error", f"Longer than {self.engine.limits.seconds:g} s")
        if stream is None:
            self._buffer.append(data)
            return
        async for event in stream.feed(data):
            await self._stream_event(event)
        await self._turns()

    async def _commit(self) -> None:
        if self.settings.vad is not None:
            if self._stream is None or self._stream.began is None:
                raise _empty(0.0)
            await self._end_turn()
            return
        data, rate = b"".join(self._buffer), self.settings.rate
        if len(data) < 2 * SHORTEST * rate:
            raise _empty(len(data) / 2 / rate)
        self._buffer = []
        await self._open()
        await self._committed()
        recogniser = self._recogniser()
        options = self.settings.decoding(self.engine.listening.decoding)
        samples = np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32768)
        if rate != recogniser.sample_rate:
            samples = soxr.resample(samples, rate, recogniser.sample_rate).astype(np.float32)
        try:
            work = self.engine.recognise(recogniser.transcribe, samples, options)
            transcript = await while_there(self.transport, work)
        except (RefusedError, SecateurError) as problem:
            await self._failed(problem)
            return
        self.engine.metrics.audio.inc(transcript.duration)
        certain = logprobs(pieces_of(recogniser, transcript)) if self.settings.logprobs else None
        await self._completed(transcript.text, transcript.duration, certain)

    def _listening(self) -> StreamSession:
        """The stream that samples go to; the first ones open it."""
        if self._stream is None:
            options = self.settings.decoding(options_of(None, self.engine.listening.decoding))
            listening = self.settings.listening(self.engine.listening)
            self._stream = StreamSession(
                self.engine, self._recogniser(), self.settings.rate, options, True, self.transport, listening
            )
            self._offset = self._seconds
        return self._stream

    async def _stream_event(self, event: Event) -> None:
        """A text of the utterance that is spoken, or the last one of it."""
        if self._item and abs(event.start - self._began) > 1e-3:
            await self._stopped(self._began, "", ())
        if not self._item:
            await self._started(event.start)
        if event.final:
            await self._stopped(event.end, event.text, event.words)
        elif self._stream is not None and self._recogniser().rewrite is None:
            await self._delta(event.stable)

    async def _turns(self) -> None:
        """What has begun or ended without a text."""
        began = self._stream.began if self._stream is not None else None
        if self._item and (began is None or abs(began - self._began) > 1e-3):
            await self._stopped(self._began, "", ())
        if began is not None and not self._item:
            await self._started(began)

    async def _end_turn(self) -> None:
        """Commit what was spoken so far; the next samples open a new stream."""
        if self._stream is not None:
            async for event in self._stream.finish():
                await self._stream_event(event)
            if self._item:
                await self._stopped(self._began, "", ())
        self._drop()

    def _drop(self) -> None:
        self._stream, self._buffer, self._item, self._sent = None, [], "", ""

    async def _started(self, start: float) -> None:
        await self._open()
        self._began = start
        await self._send("input_audio_buffer.speech_started", audio_start_ms=self._clock(start), item_id=self._item)

    async def _stopped(self, end: float, text: str, words: tuple[Json, ...]) -> None:
        await self._send("input_audio_buffer.speech_stopped", audio_end_ms=self._clock(end), item_id=self._item)
        await self._committed()
        certain = None
        if self.settings.logprobs:
            pieces = [(0, f" {word['word']}".encode(), log(max(word["confidence"], 1e-9))) for word in words]
            certain = logprobs(pieces)
        await self._completed(text, max(0.0, end - self._began), certain)

    def _clock(self, seconds: float) -> int:
        """Milliseconds of the connection's audio."""
        return round(1000 * (self._offset + seconds))

    async def _open(self) -> None:
        self._item, self._sent = _number("item"), ""

    async def _committed(self) -> None:
        before, item = self._before, self._item
        await self._send("input_audio_buffer.committed", item_id=item, previous_item_id=before)
        about = {
            "id": item, "object": "realtime.item", "type": "message", "role": "user", "status": "completed",
            "content": [{"type": "input_audio", "transcript": None}],
        }  # fmt: skip
        for kind in ("created",) if self.old else ("added", "done"):
            await self._send(f"conversation.item.{kind}", item=about, previous_item_id=before)
        self._before = item

    async def _delta(self, text: str, certain: list[Json] | None = None) -> None:
        """What of `text` was not sent yet."""
        if text.startswith(self._sent) and len(text) > len(self._sent):
            delta, self._sent = text[len(self._sent) :], text
            more = {} if certain is None else {"logprobs": certain}
            await self._send(
                "conversation.item.input_audio_transcription.delta",
                item_id=self._item,
                content_index=0,
                delta=delta,
                **more,
            )

    async def _completed(self, text: str, seconds: float, certain: list[Json] | None) -> None:
        await self._delta(text, certain)
        more = {} if certain is None else {"logprobs": certain}
        await self._send(
            "conversation.item.input_audio_transcription.completed", item_id=self._item, content_index=0,
            transcript=text, usage={"type": "duration", "seconds": round(seconds, 3)}, **more,
        )  # fmt: skip
        self._item = ""

    async def _failed(self, problem: Exception) -> None:
        error = {"type": "server_error", "code": None, "message": sendable(str(problem)), "param": None}
        await self._send(
            "conversation.item.input_audio_transcription.failed", item_id=self._item, content_index=0, error=error
        )
        self._item = ""

    def _recogniser(self, model: str | None = None) -> Recogniser:
        return self.engine.model(model or self.settings.model)

    async def _tell(self, what: str) -> None:
        kind = f"transcription_session.{what}" if self.old else f"session.{what}"
        await self._send(kind, session=self.settings.shown(self.number, self.old))

    async def _error(self, problem: RefusedError, event_id: str | None) -> None:
        error = {"type": problem.kind, "code": problem.code, "message": problem.message, "param": problem.param,
                 "event_id": event_id}  # fmt: skip
        await self._send("error", error=error)

    async def _send(self, kind: str, **values: object) -> None:
        await self.socket.send_json({"type": kind, "event_id": _number("event"), **values})


def _event(text: str | None) -> Json:
    """A client's event.

    Raises:
        RefusedError: not JSON, or without a type.
    """
    try:
        event = json.loads(text or "")
    except (ValueError, RecursionError):
        event = None
    if not isinstance(event, dict) or not isinstance(event.get("type"), str):
        raise RefusedError(400, "invalid_request_error", 'an event is JSON: {"type": ...}', code="invalid_event")
    return event


def _samples(audio: Any, kind: str) -> bytes:
    """16-bit samples of an append's base64.

    Raises:
        RefusedError: it is none, or half a sample.
    """
    try:
        data = base64.b64decode(audio, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise RefusedError(400, "invalid_request_error", "audio must be base64", param="audio") from None
    if kind != "audio/pcm":
        return expanded(data, kind)
    if len(data) % 2:
        raise RefusedError(400, "invalid_request_error", "audio has half a 16-bit sample", param="audio")
    return data


def _empty(seconds: float) -> RefusedError:
    text = f"The buffer has {1000 * seconds:.0f} ms of audio to commit: it takes {1000 * SHORTEST:.0f}"
    return RefusedError(400, "invalid_request_error", text, code="input_audio_buffer_commit_empty")


def _number(kind: str) -> str:
    return f"{kind}_{secrets.token_hex(10)}"
