"""Run the server until a signal; what is in flight is finished first."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import uvicorn
from fastapi import APIRouter

from ...base.errors import SecateurError
from ...base.progress import say
from ..announce import Announced
from ..wyoming import IntentService, WyomingServer
from .app import create_app
from .engine import Engine
from .patience import http_protocol, websocket_protocol
from .settings import Access
from .transcriptions import PhraseMode


class Server(uvicorn.Server):
    """uvicorn that drains before it exits: a first signal refuses what is new, a second one ends at once."""

    def __init__(self, config: uvicorn.Config, engine: Engine) -> None:
        super().__init__(config)
        self.engine = engine
        self._draining: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal has come."""
        if self._draining is not None or self._loop is None:
            super().handle_exit(sig, frame)
            return
        self._loop.call_soon_threadsafe(self._begin)

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until told to stop."""
        self._loop = asyncio.get_running_loop()
        await super().serve(sockets)

    def _begin(self) -> None:
        if self._draining is None:
            self._draining = asyncio.ensure_future(self._drain())

    async def _drain(self) -> None:
        if not await self.engine.drained():
            say(f"secateur: not all requests ended within {self.engine.limits.drain:g} s")
        self.should_exit = True


def check_ports(host: str, *ports: int | None) -> None:
    """Refuse ports that cannot be listened on, before models are loaded; 0 is any free one, None is not asked for.

    Raises:
        SecateurError: a port that is taken, or an address that is not this machine's.
    """
    for port in ports:
        if not port:
            continue
        try:
            addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            family, kind, *_, address = addresses[0]
            with socket.socket(family, kind) as one:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                one.bind(address)
        except OSError as problem:
            reason = problem.strerror or str(problem)
            raise SecateurError(f"{host}:{port} cannot be listened on ({reason}); name another --port") from problem


async def serve(
    engine: Engine, host: str, port: int, wyoming_port: int | None = None, more: Sequence[APIRouter] = (),
    page: Path | None = None, access: Access | None = None, intents: IntentService | None = None,
    phrase_mode: PhraseMode | None = None, announced: Announced | None = None,
) -> None:  # fmt: skip
    """Serve HTTP and WebSocket on `port`, and Wyoming on `wyoming_port`, until SIGTERM or SIGINT."""
    config = uvicorn.Config(
        create_app(engine, more, page, access, phrase_mode), host, port, log_level="warning", ws_max_size=1 << 20,
        timeout_graceful_shutdown=5, server_header=False, backlog=256, http=http_protocol(engine.limits),
        ws=websocket_protocol(engine.limits), ws_per_message_deflate=False,  # sound does not shrink
        # A stream that waits for its turn reads no pongs: who is silent for too long is closed by `Limits.idle`.
        ws_ping_interval=None,
    )  # fmt: skip
    server = Server(config, engine)
    other = WyomingServer(engine, host, wyoming_port, intents) if wyoming_port is not None else None
    if other is not None:
        await other.start()
        say(f"secateur: Wyoming at tcp://{host}:{wyoming_port}")
    say(f"secateur: http://{host}:{port} serves {', '.join(engine.models)}")
    try:
        async with announced if announced is not None else contextlib.nullcontext():
            await server.serve()
    finally:
        if other is not None:
            await other.stop()
