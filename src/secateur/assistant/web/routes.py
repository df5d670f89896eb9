"""What the page's first tab asks: answers to typed and spoken commands, and their sound."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Body, Response, WebSocket, WebSocketDisconnect

from ...base.options import to_dict
from ...server.http.engine import Engine, RefusedError, sendable
from ...server.http.hearing import Event
from ...server.http.socket import answer
from ..assistant import Assistant, Reply
from ..speak import speech, voice_installed

PAGE = Path(__file__).parent / "page"
LONGEST = 300  # letters of a typed command, or of an answer to speak


def assistant_routes(engine: Engine, assistant: Assistant, grammars: Sequence[str]) -> APIRouter:
    """Routes under /v1/assistant. Commands are answered one at a time: skills share what they keep."""
    router = APIRouter()
    turn = asyncio.Lock()

    async def reply(make: Callable[[], Reply]) -> dict[str, Any]:
        async with turn:
            begun = time.perf_counter()
            found = await engine.in_turn(make)
            return {"type": "reply", **to_dict(found), "ms": round(1000 * (time.perf_counter() - begun))}

    @router.get("/v1/assistant")
    async def about() -> dict[str, Any]:
        return {"grammars": list(grammars), "voice": voice_installed(), "language": assistant.context.language}

    @router.post("/v1/assistant")
    async def typed(text: str = Body(embed=True)) -> dict[str, Any]:
        if not 0 < len(text.strip()) <= LONGEST:
            raise RefusedError(400, "invalid_request_error", f"a command has 1 to {LONGEST} letters")
        return await reply(lambda: assistant.read(sendable(text)))

    @router.get("/v1/assistant/speech")
    async def spoken(text: str) -> Response:
        if not 0 < len(text.strip()) <= LONGEST:
            raise RefusedError(400, "invalid_request_error", f"a text to speak has 1 to {LONGEST} letters")
        sound = await engine.recognise(speech, text, assistant.context.language)
        return Response(sound, media_type="audio/wav")

    @router.websocket("/v1/assistant/listen")
    async def listen(socket: WebSocket) -> None:
        async def then(event: Event) -> dict[str, Any] | None:
            audio = event.audio
            if audio is None or not event.text:
                return None
            return await reply(lambda: assistant.hear(audio))

        await socket.accept()
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # the client has gone: nobody to tell
            await answer(engine, socket, then)

    return router
