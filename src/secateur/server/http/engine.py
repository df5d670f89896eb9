"""Recognition for many clients: so many at a time, so many waiting, none lost when the server stops."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import re
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from ...base.errors import SecateurError, nearest
from ...base.progress import CancelledWorkError, cancellable
from ...runtime.recogniser import Recogniser
from ...runtime.streaming import StreamOptions
from ..access_log import AccessLog
from .metrics import Metrics
from .settings import Limits

P = ParamSpec("P")
T = TypeVar("T")

ANY_MODEL = re.compile(r"default|whisper-1|gpt-[\w.-]+")  # names that clients send when they mean "yours"


class RefusedError(Exception):
    """A request that is refused: an HTTP status, OpenAI's word for the kind of error, and one line.

    `retry`: seconds after which it may come again; `param`: the field that is wrong; `code`: OpenAI's word for it.
    """

    def __init__(
        self, status: int, kind: str, message: str, retry: float | None = None, param: str | None = None,
        code: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.status, self.kind, self.message, self.retry = status, kind, sendable(message), retry
        self.param = None if param is None else sendable(param)
        self.code = code or {401: "invalid_api_key", 429: "rate_limit_exceeded"}.get(status)


def sendable(text: str) -> str:
    """A text without halves of surrogate pairs, which JSON may name and UTF-8 cannot hold."""
    return text.encode(errors="replace").decode()


class Engine:
    """The recognisers of a server by name (the first is the default), and the turns of those who ask.

    `listening` is how streams find speech and how often they say what they have heard.
    """

    def __init__(
        self, models: Mapping[str, Recogniser], limits: Limits | None = None, api_key: str | None = None,
        listening: StreamOptions | None = None, log: AccessLog | None = None,
    ) -> None:  # fmt: skip
        if not models:
            raise SecateurError("a server needs a model")
        limits = limits or Limits()
        self.models, self.limits = dict(models), limits
        self.listening = listening or StreamOptions()
        self.metrics, self.log = Metrics(), log
        self.started = int(time.time())
        self.stopping = asyncio.Event()
        self._api_key = api_key
        self._pool = ThreadPoolExecutor(limits.workers, "recognise")
        self._turns = asyncio.Semaphore(limits.workers)
        self._asked = 0  # requests in the pool or waiting for it
        self._waiting = 0  # for their turn in the pool
        self._in_flight = 0
        self._streams = 0
        self._held: Counter[str] = Counter()  # streams by address
        self._connections = 0
        self._later: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    def model(self, name: str | None) -> Recogniser:
        """The recogniser that a client names; OpenAI's names mean the default.

        Raises:
            RefusedError: 404, no such model.
        """
        if name is None or (name not in self.models and ANY_MODEL.fullmatch(name)):
            return next(iter(self.models.values()))
        if name not in self.models:
            known = ", ".join(self.models)
            message = f"The model '{name[:80]}' does not exist{nearest(name, self.models)}; here are: {known}"
            raise RefusedError(404, "invalid_request_error", message, param="model", code="model_not_found")
        return self.models[name]

    def admits(self, key: str | None) -> bool:
        """Whether `key` opens this server."""
        return self._api_key is None or hmac.compare_digest(
            (key or "").encode(errors="replace"), self._api_key.encode()
        )

    @property
    def crowded(self) -> bool:
        """Whether somebody waits for their turn."""
        return self._waiting > 0

    async def recognise(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` in its turn, for one request; cancelled, it leaves its place in the queue at once.

        Raises:
            RefusedError: 429 when too many wait already, 504 when it took longer than the limit.
        """
        if self._asked >= self.limits.workers + self.limits.waiting:
            self.metrics.refused.labels("waiting").inc()
            raise RefusedError(429, "rate_limit_exceeded", "Too many requests at once: try again soon", retry=1.0)
        self._asked += 1
        task = asyncio.ensure_future(self.in_turn(work, *args, **kwargs))
        # The place is free when the work has ended, not when its client was sent away.
        task.add_done_callback(self._answered)
        try:
            return await asyncio.wait_for(asyncio.shield(task), self.limits.timeout)
        except TimeoutError:
            task.cancel()
            self.metrics.refused.labels("timeout").inc()
            message = f"Not done within {self.limits.timeout:g} s: send shorter audio"
            raise RefusedError(504, "server_error", message) from None
        except asyncio.CancelledError:  # the client has left
            task.cancel()
            raise

    async def in_turn(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` in the pool when it has a free thread; streams wait here without limit, for they are counted.

        Cancelled while it runs, it ends before its next step (see `base.progress`), and only then its turn.
        """
        asked = time.perf_counter()
        self._waiting += 1
        self.metrics.waiting.set(self._waiting)
        try:
            await self._turns.acquire()
        except asyncio.CancelledError:
            self.metrics.abandoned.labels("waiting").inc()
            raise
        finally:
            self._waiting -= 1
            self.metrics.waiting.set(self._waiting)
        try:
            begun = time.perf_counter()
            self.metrics.wait.observe(begun - asked)
            given_up = threading.Event()

            def run() -> T:
                with cancellable(given_up.is_set):
                    return work(*args, **kwargs)

            future = asyncio.get_running_loop().run_in_executor(self._pool, run)
            try:
                return await asyncio.shield(future)
            except asyncio.CancelledError:
                given_up.set()
                await asyncio.wait({future})  # a thread stops by itself: it keeps its turn until it has
                if isinstance(future.exception(), CancelledWorkError):
                    self.metrics.abandoned.labels("running").inc()
                raise
            finally:
                self.metrics.recognition.observe(time.perf_counter() - begun)
        finally:
            self._turns.release()

    def later(self, work: Callable[[], object]) -> None:
        """Run `work` when there is a turn; nobody waits for it."""

        async def run() -> None:
            with contextlib.suppress(SecateurError):
                await self.in_turn(work)

        task = asyncio.ensure_future(run())
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    @contextlib.asynccontextmanager
    async def served(self) -> AsyncIterator[None]:
        """Something that a shutdown waits for.

        Raises:
            RefusedError: 503, the server is stopping.
        """
        if self.stopping.is_set():
            raise RefusedError(503, "server_error", "The server is stopping", retry=5.0)
        self._in_flight += 1
        self._idle.clear()
        self.metrics.in_flight.set(self._in_flight)
        try:
            yield
        finally:
            self._in_flight -= 1
            self.metrics.in_flight.set(self._in_flight)
            if not self._in_flight:
                self._idle.set()

    @contextlib.contextmanager
    def connected(self) -> Iterator[None]:
        """A connection that uvicorn does not count.

        Raises:
            RefusedError: 503, there are too many.
        """
        if self._connections >= self.limits.connections:
            self.metrics.refused.labels("connections").inc()
            raise RefusedError(503, "server_error", f"{self._connections} connections are open: try later", retry=5.0)
        self._connections += 1
        try:
            yield
        finally:
            self._connections -= 1

    @contextlib.asynccontextmanager
    async def stream(self, protocol: str, address: str = "") -> AsyncIterator[None]:
        """An open stream of a client at `address`.

        Raises:
            RefusedError: 429, too many; 503, the server is stopping.
        """
        if self._streams >= self.limits.streams:
            self.metrics.refused.labels("streams").inc()
            raise RefusedError(429, "rate_limit_exceeded", f"{self._streams} streams are open: try later", retry=5.0)
        if self._held[address] >= self.limits.own(self.limits.streams, address):
            self.metrics.refused.labels("share").inc()
            message = f"{self._held[address]} streams are open from your address: close one"
            raise RefusedError(429, "rate_limit_exceeded", message, retry=5.0)
        async with self.served():
            self._streams += 1
            self._held[address] += 1
            self.metrics.streams.labels(protocol).inc()
            try:
                yield
            finally:
                self._streams -= 1
                self._held[address] -= 1
                self._held += Counter()  # forgets those that hold none
                self.metrics.streams.labels(protocol).dec()

    async def drained(self) -> bool:
        """Refuse what is new, and wait for what is in flight; false if it took longer than the limit."""
        self.stopping.set()
        try:
            await asyncio.wait_for(self._idle.wait(), self.limits.drain)
        except TimeoutError:
            return False
        return True

    def _answered(self, task: asyncio.Future[T]) -> None:
        self._asked -= 1
        if not task.cancelled():
            task.exception()  # a client that left does not read it
