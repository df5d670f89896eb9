"""Connections that waste time or memory are closed: headers that do not end, answers that nobody reads.

uvicorn bounds the size of headers and the pause between two requests; who sends a header a byte a minute, or asks and
never reads, keeps a connection for ever. Here every phase has an end.
"""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from .presence import SCOPE
from .settings import Limits

MOST_PINGS = 100  # between two messages; clients send one every twenty seconds
MOST_FRAMES = 4096  # of one message in pieces; empty ones never reach the limit on its bytes


class Stall:
    """Cuts a connection whose other end has read nothing for too long: what is written to it piles up here."""

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, transport: asyncio.Transport) -> None:
        """The buffer is full."""
        self.end()
        self._timer = asyncio.get_running_loop().call_later(self.patience, transport.abort)

    def end(self) -> None:
        """It was read, or the connection is gone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _with_transport(protocol: Any) -> Any:
    """The application, with the connection in the scope of every request: see `presence`."""
    app = protocol.app

    async def call(scope: Any, receive: Any, send: Any) -> None:
        scope[SCOPE] = protocol.transport
        await app(scope, receive, send)

    return call


def http_protocol(limits: Limits) -> type[asyncio.Protocol]:
    """uvicorn's protocol with the limits on connections, headers and unread answers."""

    class PatientHttp(H11Protocol):
        """One HTTP connection."""

        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            self.app = _with_transport(self)
            self._stall = Stall(limits.patience)
            self._heading: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            """Too many, together or of one address, are refused; the others have `patience` seconds for a header."""
            super().connection_made(transport)
            address = self.client[0] if self.client else ""
            held = sum((getattr(other, "client", None) or ("",))[0] == address for other in self.connections)
            if len(self.connections) > limits.connections or held > limits.own(limits.connections, address):
                self._end(503, "Service Unavailable")
            else:
                self._watch()

        def data_received(self, data: bytes) -> None:
            """Bytes of a header or a body."""
            super().data_received(data)
            self._watch()

        def on_response_complete(self) -> None:
            """Between two requests uvicorn's own clock runs, and once a byte has come, this one."""
            super().on_response_complete()
            self._watch()

        def connection_lost(self, exc: Exception | None) -> None:
            """The client left, or was cut off: its clocks stop."""
            self._stop()
            self._stall.end()
            super().connection_lost(exc)

        def pause_writing(self) -> None:
            """The client does not read."""
            super().pause_writing()
            self._stall.begin(self.transport)

        def resume_writing(self) -> None:
            """The client reads again."""
            super().resume_writing()
            self._stall.end()

        def _watch(self) -> None:
            """The clock runs while a header is not whole."""
            if self.conn.their_state is not h11.IDLE or self.transport.is_closing():
                self._stop()
            elif self._heading is None:
                self._heading = self.loop.call_later(limits.patience, self._end, 408, "Request Timeout")

        def _stop(self) -> None:
            if self._heading is not None:
                self._heading.cancel()
                self._heading = None

        def _end(self, status: int, reason: str) -> None:
            """Say why, and close without waiting for the other end."""
            self._stop()
            if not self.transport.is_closing():
                head = f"HTTP/1.1 {status} {reason}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
                self.transport.write(head.encode())
                self.transport.close()
                self.loop.call_later(1.0, self.transport.abort)

        def handle_websocket_upgrade(self, event: h11.Request) -> None:
            """The connection goes to the other protocol."""
            self._stop()
            super().handle_websocket_upgrade(event)

    return PatientHttp


def websocket_protocol(limits: Limits) -> type[asyncio.Protocol]:
    """uvicorn's protocol with the limits on pieces of messages and unread answers."""

    class PatientWebSocket(WebSocketsSansIOProtocol):
        """One WebSocket."""

        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            self.app = _with_transport(self)
            self._stall = Stall(limits.patience)
            self._pings = 0  # since the last message

        def handle_ping(self) -> None:
            """Answered, as long as there are not thousands: each costs more here than there."""
            self._pings += 1
            if self._pings > MOST_PINGS:
                self.transport.abort()
                return
            super().handle_ping()

        def handle_pong(self, event: Frame) -> None:
            """A pong that answers no ping of ours; more than `MOST_PINGS` between two messages end the connection."""
            self._pings += 1
            if self._pings > MOST_PINGS:
                self.transport.abort()
                return
            super().handle_pong(event)

        def send_receive_event_to_app(self) -> None:
            """A message is whole: the count of pings begins anew."""
            self._pings = 0
            super().send_receive_event_to_app()

        def handle_cont(self, event: Frame) -> None:
            """A further piece of a message."""
            if len(self.frames) >= MOST_FRAMES:
                self.transport.abort()
                return
            super().handle_cont(event)

        def connection_lost(self, exc: Exception | None) -> None:
            """The client left, or was cut off: its clocks stop."""
            self._stall.end()
            super().connection_lost(exc)

        def pause_writing(self) -> None:
            """The client does not read: nothing more is taken from it either, for pings are answered at once."""
            super().pause_writing()
            self.transport.pause_reading()
            self._stall.begin(self.transport)

        def resume_writing(self) -> None:
            """The client reads again."""
            super().resume_writing()
            self._stall.end()
            if not self.read_paused and not self.transport.is_closing():
                self.transport.resume_reading()

    return PatientWebSocket
