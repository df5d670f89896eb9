"""`/v1/listen`: 16-bit PCM in, partial and final texts out.

client: {"type": "start", "sample_rate": 16000, "language": "en", "partials": true, "model": ..., "key": ...}
        binary messages of little-endian 16-bit mono samples
        {"type": "end"}
server: {"type": "ready"}
        {"type": "partial", "text": ..., "stable": ..., "start": ..., "end": ...}
        {"type": "final", "text": ..., "start": ..., "end": ..., "words": [...]}
        {"type": "done", "seconds": ...}   or   {"type": "error", "status": ..., "message": ...}
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from ...base.errors import SecateurError
from ...base.files import Json
from ...base.options import from_dict
from .engine import Engine, RefusedError, sendable
from .presence import SCOPE, ClientLeftError
from .stream_session import Event, StreamSession, options_of

LONGEST_START = 65_536  # letters of the first message


@dataclass(frozen=True)
class Start:
    """A client's first message."""

    type: str = "start"
    sample_rate: int = 16000
    language: str | None = None
    partials: bool = True
    model: str | None = None
    key: str | None = None


OnFinal = Callable[[Event], Awaitable[Json | None]]


def routes(engine: Engine) -> APIRouter:
    """The WebSocket's route."""
    router = APIRouter()

    @router.websocket("/v1/listen")
    async def listen(socket: WebSocket) -> None:
        await socket.accept()
        with contextlib.suppress(WebSocketDisconnect, ClientLeftError, RuntimeError):  # nobody to tell
            await answer(engine, socket)

    return router


async def answer(engine: Engine, socket: WebSocket, then: OnFinal | None = None) -> None:
    """Serve one stream from its first message to its last; what `then` makes of a final text is sent after it."""
    try:
        start = await _start(engine, socket)  # before that, and without a key, nobody takes the place of a stream
        async with engine.stream("websocket", socket.client.host if socket.client else ""):
            session = StreamSession(
                engine,
                engine.model(start.model),
                start.sample_rate,
                options_of(start.language, engine.listening.decoding),
                start.partials,
                socket.scope.get(SCOPE),
            )
            await socket.send_json({"type": "ready", "sample_rate": start.sample_rate})
            async for data in _audio(engine, socket):
                async for event in session.feed(data):
                    await _send(socket, event, then)
            async for event in session.finish():
                await _send(socket, event, then)
            await socket.send_json({"type": "done", "seconds": round(session.seconds, 3)})
        await socket.close()
    except RefusedError as problem:
        await _refuse(socket, problem.status, problem.message)
    except SecateurError as problem:
        await _refuse(socket, 400, sendable(str(problem)))


async def _start(engine: Engine, socket: WebSocket) -> Start:
    """The first message, checked.

    Raises:
        RefusedError: 401, a wrong key; 408, no message in time.
        SecateurError: not a start.
    """
    received = await receive(engine, socket, engine.limits.patience)
    if received.get("type") == "stop":
        raise RefusedError(503, "server_error", "The server is stopping")
    text = received.get("text") or ""
    try:
        values = json.loads(text) if len(text) <= LONGEST_START else None
    except (ValueError, RecursionError):
        values = None
    if values is None:
        raise SecateurError('the first message must be {"type": "start", ...}')
    start = from_dict(Start, values, "start")
    header = socket.headers.get("authorization", "").removeprefix("Bearer ").strip()
    if start.type != "start":
        raise SecateurError('the first message must be {"type": "start", ...}')
    if not engine.admits(start.key or header):
        raise RefusedError(401, "invalid_request_error", "Incorrect API key: send it as  key  in the first message")
    return start


async def _audio(engine: Engine, socket: WebSocket) -> AsyncIterator[bytes]:
    """Binary messages until the client, or a shutdown, ends the stream."""
    while True:
        received = await receive(engine, socket)
        if received.get("bytes") is not None:
            yield received["bytes"]
        elif received.get("type") == "stop":
            return
        else:
            try:
                kind = json.loads(received.get("text") or "").get("type")
            except (ValueError, AttributeError, RecursionError):
                kind = None
            if kind != "end":
                raise SecateurError('send binary audio, and {"type": "end"} after it')
            return


async def receive(engine: Engine, socket: WebSocket, patience: float | None = None) -> Json:
    """The next message, or `{"type": "stop"}` when the server stops.

    Comes within `patience` seconds; None: as long as a stream may be silent.

    Raises:
        RefusedError: 408, nothing came in time.
        WebSocketDisconnect: the client has gone.
    """
    patience = patience or engine.limits.idle
    message = asyncio.ensure_future(socket.receive())
    stopping = asyncio.ensure_future(engine.stopping.wait())
    done, _ = await asyncio.wait({message, stopping}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if message not in done:
        message.cancel()
        if stopping in done:
            return {"type": "stop"}
        raise RefusedError(408, "invalid_request_error", f"Nothing came for {patience:g} s")
    received = dict(message.result())
    if received["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(received.get("code", 1000))
    return received


async def _send(socket: WebSocket, event: Event, then: OnFinal | None) -> None:
    await socket.send_json(message(event))
    if then is not None and event.final:
        more = await then(event)
        if more is not None:
            await socket.send_json(more)


def message(event: Event) -> Json:
    """An event as JSON."""
    body: Json = {
        "type": "final" if event.final else "partial",
        "text": event.text,
        "start": event.start,
        "end": event.end,
    }
    return body | ({"words": list(event.words)} if event.final else {"stable": event.stable})


async def _refuse(socket: WebSocket, status: int, text: str) -> None:
    await socket.send_json({"type": "error", "status": status, "message": text})
    await socket.close({401: 1008, 413: 1009, 429: 1013, 503: 1012}.get(status, 1008))
