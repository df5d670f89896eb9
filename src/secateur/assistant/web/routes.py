"""What the page's first tab asks: answers to typed and spoken commands, their sound, what can be said, what rings."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from fastapi import APIRouter, Body, Request, Response, WebSocket, WebSocketDisconnect

from ...base.files import Json
from ...server.http.engine import Engine, RefusedError, sendable
from ...server.http.presence import SCOPE, ClientLeftError, while_there
from ...server.http.socket import answer
from ...server.http.stream_session import Event
from ..assistant import Assistant
from ..listen import Wake
from ..skills.timer import rings
from ..speak import speech, voice_installed
from ..timers import Ringer, Timer
from ..understand import Understood

PAGE = Path(__file__).parent / "page"
LONGEST = 300  # letters of a typed command, or of an answer to speak
ACTING = 32  # commands whose skills, or chats, run at the same time
RINGS = 120.0  # seconds that a timer rings when nobody stops it
CLIENT = 64  # letters of a client's name


def assistant_routes(engine: Engine, assistant: Assistant, grammars: Sequence[str], wake: str = "") -> APIRouter:
    """Routes under /v1/assistant; spoken orders only after the phrase `wake`, if there is one."""
    replies, bell = Replies(engine, assistant), Bell(assistant)

    @contextlib.asynccontextmanager
    async def ringing(_: object) -> AsyncIterator[None]:
        bell.start()
        yield
        bell.stop()
        replies.close()

    router = APIRouter(lifespan=ringing)

    @router.get("/v1/assistant")
    async def about() -> Json:
        return {
            "grammars": list(grammars),
            "voice": voice_installed(),
            "language": assistant.context.language,
            "examples": list(assistant.understanding.grammar.examples),
            "sends": sends(assistant),
            "wake": wake,
        }

    @router.post("/v1/assistant")
    async def typed(request: Request, text: str = Body(), client: str = Body("")) -> Json:
        if not 0 < len(text.strip()) <= LONGEST:
            raise RefusedError(400, "invalid_request_error", f"a command has 1 to {LONGEST} letters")
        who = _client(request.client.host if request.client else "", client)
        transport = request.scope.get(SCOPE)
        return await replies.to(lambda: assistant.understanding.text(sendable(text)), who, transport)

    @router.get("/v1/assistant/timers")
    async def timers() -> Json:
        now = assistant.context.clock()
        running = [
            {"id": one.id, "kind": one.kind, "ends": one.ends, "left": round(max(0.0, one.ends - now), 1),
             "seconds": one.seconds} for one in assistant.context.timers.running()
        ]  # fmt: skip
        return {"running": running, "ringing": bell.ringing()}

    @router.delete("/v1/assistant/timers/{number}")
    async def stop(number: str) -> Json:
        if not bell.hush(number) and not assistant.context.timers.cancel(number=number):
            raise RefusedError(404, "invalid_request_error", "no such timer: it has ended, or was stopped")
        return {"id": number, "deleted": True}

    @router.get("/v1/assistant/speech")
    async def spoken(text: str) -> Response:
        if not 0 < len(text.strip()) <= LONGEST:
            raise RefusedError(400, "invalid_request_error", f"a text to speak has 1 to {LONGEST} letters")
        sound = await engine.recognise(speech, text, assistant.context.language)
        return Response(sound, media_type="audio/wav")

    @router.websocket("/v1/assistant/listen")
    async def listen(socket: WebSocket, client: str = "") -> None:
        who = _client(socket.client.host if socket.client else "", client)

        awake = Wake(wake) if wake else None

        async def then(event: Event) -> Json | None:
            audio = event.audio
            if audio is None or not event.text:
                return None
            if awake is not None:
                follow = engine.in_turn(awake.follow, assistant.understanding.recogniser, audio)
                audio = await while_there(socket.scope.get(SCOPE), follow)
                if audio is None:
                    return None
            return await replies.to(lambda: assistant.understanding.audio(audio), who, socket.scope.get(SCOPE))

        await socket.accept()
        with contextlib.suppress(WebSocketDisconnect, ClientLeftError, RuntimeError):  # nobody to answer
            await answer(engine, socket, then)

    return router


class Replies:
    """Does what commands say: recognition takes its turn with everything else, what a command does a thread of its own,
    so that a slow endpoint keeps nobody but its client waiting; a client's own commands are done one after the other.
    """

    def __init__(self, engine: Engine, assistant: Assistant) -> None:
        self._engine, self._assistant = engine, assistant
        self._pool = ThreadPoolExecutor(ACTING, "acting")
        self._clients: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._acting = 0

    async def to(self, understand: Callable[[], Understood], client: str, transport: Any) -> Json:
        """The reply to what `understand` makes of a client's words.

        Raises:
            RefusedError: too many commands at once.
        """
        begun = time.perf_counter()
        understood = await while_there(transport, self._engine.in_turn(understand))
        if self._acting >= ACTING:
            raise RefusedError(429, "rate_limit_exceeded", "Too many commands at once: try again soon", retry=1.0)
        lock = self._clients.setdefault(client, asyncio.Lock())
        self._acting += 1
        try:
            async with lock:
                act = asyncio.get_running_loop().run_in_executor(self._pool, self._assistant.act, understood, client)
                result = await act
        finally:
            self._acting -= 1
        return {"type": "reply", **result.to_json(), "ms": round(1000 * (time.perf_counter() - begun))}

    def close(self) -> None:
        """Wait for nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class Bell:
    """Timers that have run out and ring until somebody stops them, or for `RINGS` seconds."""

    def __init__(self, assistant: Assistant) -> None:
        self._assistant = assistant
        self._rings: dict[str, tuple[float, Json]] = {}
        self._ringer = Ringer(assistant.context.timers, self._ring)
        assistant.context.hush = self.hush_all

    def start(self) -> None:
        """Look at the clock from now on."""
        self._ringer.start()

    def stop(self) -> None:
        """Stop watching the timers."""
        self._ringer.stop()

    def ringing(self) -> list[Json]:
        """Id, kind and text of each."""
        now = time.monotonic()
        return [about for until, about in list(self._rings.values()) if until > now]

    def hush(self, number: str) -> bool:
        """Stop one; whether it rang."""
        return self._rings.pop(number, None) is not None

    def hush_all(self) -> int:
        """Stop all; how many rang."""
        return sum(self.hush(one["id"]) for one in self.ringing())

    def _ring(self, timer: Timer) -> None:
        now = time.monotonic()
        for number, (until, _) in list(self._rings.items()):
            if until <= now:
                self._rings.pop(number, None)
        text = rings(timer, self._assistant.context)
        self._rings[timer.id] = now + RINGS, {"id": timer.id, "kind": timer.kind, "text": text}


def sends(assistant: Assistant) -> list[dict[str, str]]:
    """What leaves this server, and to which host: for the page, which says it truly."""
    settings = assistant.context.settings
    result = {
        "weather": settings.weather_url,
        "home": settings.home_assistant_url or settings.home_url,
        "orders": settings.orders_url,
        "chat": assistant.chat.url if assistant.chat is not None else "",
    }
    return [{"what": what, "where": urlsplit(url).netloc} for what, url in result.items() if url]


def _client(address: str, name: str) -> str:
    """Whose conversation it is: a client names itself, and cannot name another address's."""
    return f"{address} {name[:CLIENT]}"
