"""Work that nobody waits for any more stops at its next step: between windows, between attempts."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar

_CANCELLED: ContextVar[Callable[[], bool] | None] = ContextVar("cancelled", default=None)


class CancelledWorkError(Exception):
    """The work was given up before its end; there is nobody to tell."""


@contextlib.contextmanager
def cancellable(cancelled: Callable[[], bool]) -> Iterator[None]:
    """In this block, and in this thread, `check_cancelled` raises once `cancelled()` is true."""
    token = _CANCELLED.set(cancelled)
    try:
        yield
    finally:
        _CANCELLED.reset(token)


def check_cancelled() -> None:
    """To be called between two steps of long work.

    Raises:
        CancelledWorkError: nobody waits for the result.
    """
    cancelled = _CANCELLED.get()
    if cancelled is not None and cancelled():
        raise CancelledWorkError
