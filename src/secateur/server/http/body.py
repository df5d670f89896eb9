"""A request's body as it comes: not too large, not too slow, and read no longer than anybody needs it."""

from __future__ import annotations

import asyncio
import time

from starlette.types import Message, Receive, Scope

from .engine import Engine, RefusedError

LINGER = 1.0  # seconds; a connection that is closed on a client in full flow takes the answer with it


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
    """413."""
    return RefusedError(413, "invalid_request_error", f"The body is larger than {most / 1e6:g} MB: send less")
