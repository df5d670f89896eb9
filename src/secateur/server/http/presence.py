"""Whether a client is still there while its work waits or runs: what nobody waits for is dropped.

A connection that nothing is read from (a full buffer, or an event that is being answered) tells nothing by itself: the
kernel knows that the other end has closed, and is asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

LOOK = 0.2  # seconds between two looks
SCOPE = "secateur.transport"  # of an ASGI scope: see `patience`
CLOSED = getattr(select, "POLLRDHUP", 0)  # Linux; elsewhere a closed connection is seen when it is read or written


class ClientLeftError(Exception):
    """Nobody is there to be answered."""


def left(transport: asyncio.BaseTransport) -> bool:
    """Whether the other end has closed its side of a connection."""
    if transport.is_closing():
        return True
    socket = transport.get_extra_info("socket")
    if socket is None or not hasattr(select, "poll"):
        return False
    number = socket.fileno()
    if number < 0:
        return True
    poll = select.poll()
    poll.register(number, CLOSED)
    return bool(poll.poll(0))


async def while_there(transport: asyncio.BaseTransport | None, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which is cancelled when the client leaves; None: nobody knows whether it does.

    Raises:
        ClientLeftError: it has left.
    """
    if transport is None:
        return await work
    if left(transport):
        work.close()
        raise ClientLeftError
    task = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait({task}, timeout=LOOK))[0]:
            if left(transport):
                raise ClientLeftError
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task
