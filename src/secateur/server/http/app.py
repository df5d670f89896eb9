"""The application: routes, the key, bodies read no longer than anybody needs them, errors in
OpenAI's shape, counters."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...base.errors import SecateurError
from ...base.files import Json
from ...base.version import __version__
from . import docs, transcriptions
from .engine import Engine, RefusedError
from .presence import ClientLeftError
from .realtime import routes as realtime_routes
from .settings import Access
from .socket import routes as socket_routes

LINGER = 1.0  # seconds; a connection that is closed on a client in full flow takes the answer with it


UPLOADS = ("/v1/audio/transcriptions", "/v1/audio/translations", "/v1/compare")
LARGEST_JSON = 65_536  # bytes of any other body
KNOWN = (*UPLOADS, "/v1/models", "/v1/assistant", "/healthz", "/metrics", "/docs", "/openapi.json")
CLOSED = {1000: 200, 1009: 413, 1012: 503, 1013: 429}  # HTTP's status for a WebSocket's code
# A page of ours loads what is ours, is framed by nobody, and asks for a microphone only for itself.
HEADERS = [
    (b"content-security-policy", b"default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
     b"connect-src 'self' ws: wss:; style-src 'self' 'unsafe-inline'; worker-src 'self' blob:; object-src 'none'; "
     b"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"), (b"x-frame-options", b"DENY"), (b"referrer-policy", b"no-referrer"),
    (b"permissions-policy", b"microphone=(self), camera=(), geolocation=()"),
]  # fmt: skip


class Body:
    """Counts bytes and time, for those who do not say how many there will be, or do not send them."""

    def __init__(self, scope: Scope, receive: Receive, most: int, engine: Engine) -> None:
        self._receive, self._most, self._engine = receive, most, engine
        self._begun, self.seen = time.monotonic(), 0
        headers = dict(scope["headers"])
        self.whole = headers.get(b"content-length", b"0") == b"0" and b"transfer-encoding" not in headers

    async def __call__(self) -> Message:
        """The next piece.

        Raises:
            RefusedError: 408, the client is too slow; 413, it sends too much.
        """
        if self.whole:  # whoever asks now gets an empty body, or is told when the client leaves
            return await self._receive()
        limits, spent = self._engine.limits, time.monotonic() - self._begun
        left = min(limits.patience + self.seen / limits.slowest, limits.timeout) - spent
        try:
            message = await asyncio.wait_for(self._receive(), max(left, 0.001))
        except TimeoutError:
            self._engine.metrics.refused.labels("slow").inc()
            text = f"The body comes too slowly: {limits.slowest:g} bytes a second, all in {limits.timeout:g} s"
            raise RefusedError(408, "invalid_request_error", text) from None
        self._note(message)
        if self.seen > self._most:
            self._engine.metrics.refused.labels("size").inc()
            raise too_large(self._most)
        return message

    async def linger(self) -> None:
        """Throw away what still comes, for a moment, so that the client reads its answer."""
        try:
            async with asyncio.timeout(LINGER):
                while not self.whole:
                    self._note(await self._receive())
        except TimeoutError:
            self.whole = True

    def _note(self, message: Message) -> None:
        self.seen += len(message.get("body", b""))
        self.whole = message["type"] == "http.disconnect" or not message.get("more_body", False)


def too_large(most: int) -> RefusedError:
    """The answer 413 to a body of more than `most` bytes."""
    return RefusedError(413, "invalid_request_error", f"The body is larger than {most / 1e6:g} MB: send less")


def create_app(
    engine: Engine,
    more: Sequence[APIRouter] = (),
    page: Path | None = None,
    access: Access | None = None,
    phrase_mode: transcriptions.PhraseMode | None = None,
) -> FastAPI:
    """The ASGI application; `more` routes, and a folder of files to serve at /."""
    app = FastAPI(title="secateur", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(transcriptions.routes(engine, phrase_mode))
    app.include_router(docs.routes(app))
    app.include_router(socket_routes(engine))
    app.include_router(realtime_routes(engine))
    for router in more:
        app.include_router(router)

    @app.get("/healthz")
    async def health() -> Response:
        """Say whether the server takes requests."""
        stopping = engine.stopping.is_set()
        return JSONResponse({"status": "stopping" if stopping else "ok"}, 503 if stopping else 200)

    @app.get("/metrics")
    async def metrics() -> Response:
        """Count requests, seconds, refusals, waits and streams for Prometheus."""
        return Response(engine.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.exception_handler(RefusedError)
    async def refused(_: Request, problem: RefusedError) -> Response:
        return _error(problem)

    @app.exception_handler(SecateurError)
    async def bad(_: Request, problem: SecateurError) -> Response:
        return _error(RefusedError(400, "invalid_request_error", str(problem)))

    @app.exception_handler(HTTPException)
    async def other(_: Request, problem: HTTPException) -> Response:
        return _error(RefusedError(problem.status_code, "invalid_request_error", str(problem.detail)))

    @app.exception_handler(Exception)
    async def fault(_: Request, problem: Exception) -> Response:  # it is in the server's log, with where it happened
        return _error(RefusedError(500, "server_error", f"The server failed ({type(problem).__name__}): see its log"))

    @app.exception_handler(RequestValidationError)
    async def unfit(_: Request, problem: RequestValidationError) -> Response:
        first = problem.errors()[0] if problem.errors() else {"loc": (), "msg": "not understood"}
        param = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path")) or None
        text = f"{param}: {first['msg']}" if param else str(first["msg"])
        return _error(RefusedError(400, "invalid_request_error", text[:300], param=param and param[:60]))

    if page is not None:
        app.mount("/", StaticFiles(directory=page, html=True))
    app.add_middleware(Gate, engine=engine, access=access or Access())
    return app


class Gate:
    """Before every request: its host and origin, the key, the body's size, and the count of what is in flight."""

    def __init__(self, app: ASGIApp, engine: Engine, access: Access) -> None:
        self.app, self.engine, self.access = app, engine, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        headers = {name.lower(): value.decode("latin-1") for name, value in scope.get("headers", ())}
        ours, origin = self.access.known(headers.get(b"host", "")), headers.get(b"origin", "")
        welcome = bool(origin) and origin in self.access.origins
        if scope["type"] == "websocket" and not (ours and (welcome or not _foreign(scope))):
            await receive()  # the handshake
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path, engine, begun = scope["path"], self.engine, time.perf_counter()
        status, early = 500, False
        most = int(engine.limits.megabytes * 1e6) if path in UPLOADS else LARGEST_JSON
        body = Body(scope, receive, most, engine)

        async def counted(message: Message) -> None:
            nonlocal status, early
            if message["type"] == "http.response.start":
                allowed = _cors(origin) if welcome else []
                message = {**message, "headers": [*message["headers"], *HEADERS, *allowed]}
                status, early = message["status"], not body.whole
                if early:  # what is still to come would be read for ever
                    message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
            elif early and not message.get("more_body"):
                await send({**message, "more_body": True})
                await body.linger()
                message = {"type": "http.response.body", "body": b"", "more_body": False}
            await send(message)

        try:
            if not ours:
                hint = "start it with  --access.hosts NAME  if that is its name"
                raise RefusedError(421, "invalid_request_error", f"This server is not called that; {hint}")
            if welcome and scope["method"] == "OPTIONS":
                await Response(status_code=204)(scope, receive, counted)
                return
            _check(engine, scope, most, welcome)
            if path in ("/healthz", "/metrics"):
                await self.app(scope, body, counted)
            else:
                async with engine.served():
                    await self.app(scope, body, counted)
        except RefusedError as problem:
            await _error(problem)(scope, receive, counted)
        except (ClientDisconnect, ClientLeftError):
            status = 499  # as others note it: the client left before it had its answer
        finally:
            known = path if path in KNOWN else "/v1/models" if path.startswith("/v1/models/") else "other"
            engine.metrics.requests.labels(known, str(status)).inc()
            if engine.log is not None:
                seconds = time.perf_counter() - begun
                more = {"method": scope["method"], "bytes": body.seen}
                engine.log.write("http", _client(scope), path, status, seconds, **more)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a WebSocket, and note how it ended: 499 where the client was the one to go."""
        begun, status = time.perf_counter(), 499

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "websocket.close":
                status = CLOSED.get(message.get("code", 1000), 400)
            elif message["type"] == "websocket.http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noted)
        finally:
            if self.engine.log is not None:
                seconds = time.perf_counter() - begun
                self.engine.log.write("websocket", _client(scope), scope["path"], status, seconds)


def _client(scope: Scope) -> str:
    return str((scope.get("client") or ("",))[0])


def _cors(origin: str) -> list[tuple[bytes, bytes]]:
    """What lets a page of `origin` read the answer."""
    return [
        (b"access-control-allow-origin", origin.encode("latin-1")),
        (b"vary", b"Origin"),
        (b"access-control-allow-headers", b"authorization, content-type"),
        (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
        (b"access-control-max-age", b"600"),
    ]


def _check(engine: Engine, scope: Scope, most: int, welcome: bool = False) -> None:
    """The key and the announced size; `welcome` says that the page's origin may ask.

    Raises:
        RefusedError: 401 or 413.
    """
    headers = {name.lower(): value for name, value in scope["headers"]}
    private = scope["path"].startswith("/v1/") or scope["path"] == "/metrics"
    key = headers.get(b"authorization", b"").decode("latin-1").removeprefix("Bearer ").strip()
    if private and not welcome and _foreign(scope):
        raise RefusedError(403, "invalid_request_error", "Pages of other sites may not use this server")
    if private and not engine.admits(key):
        raise RefusedError(401, "invalid_request_error", "Incorrect API key: send it as  Authorization: Bearer KEY")
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and int(length) > most:
        engine.metrics.refused.labels("size").inc()
        raise too_large(most)


def _foreign(scope: Scope) -> bool:
    """Whether a browser asks for a page of another site, which must not give orders to an assistant at home."""
    headers = {name.lower(): value for name, value in scope["headers"]}
    origin = headers.get(b"origin", b"").decode("latin-1")
    return bool(origin) and urlsplit(origin).netloc != headers.get(b"host", b"").decode("latin-1")


def _error(problem: RefusedError) -> JSONResponse:
    """OpenAI's error object."""
    content: Json = {
        "error": {"message": problem.message, "type": problem.kind, "param": problem.param, "code": problem.code}
    }
    headers = {"Retry-After": f"{problem.retry:g}"} if problem.retry else None
    return JSONResponse(content, problem.status, headers)
