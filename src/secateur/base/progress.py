"""Long work: its progress, and its end at the next step once nobody waits for it any more.

Bars where rich is installed and standard error is a terminal, plain lines otherwise. Of several processes that
`torchrun` started, only the first (RANK 0) shows anything.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextvars import ContextVar
from typing import TypeVar

from .locale import translated

T = TypeVar("T")


def track(items: Iterable[T], label: str, total: int | None = None, quiet: bool = False) -> Iterator[T]:
    """Yield `items` while showing progress on standard error."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    if quiet or _one_of_many():
        yield from items
        return
    try:
        from rich.console import Console
        from rich.progress import track as rich_track
    except ModuleNotFoundError:
        yield from _plain(items, label, total)
        return
    console = Console(stderr=True)
    if not console.is_terminal:
        yield from _plain(items, label, total)
        return
    yield from rich_track(items, description=translated(label), total=total, console=console, transient=False)


@functools.cache
def say_once(message: str) -> None:
    """A warning that is printed only the first time."""
    say(f"secateur: {message}")


def say(message: str, everywhere: bool = False) -> None:
    """Print one line on standard error (standard output is for results).

    `everywhere`: also from processes beside the first.
    """
    if _one_of_many() and not everywhere:
        return
    print(translated(message), file=sys.stderr, flush=True)


def _one_of_many() -> bool:
    """Whether this is a process beside the first of a distributed run."""
    return "WORLD_SIZE" in os.environ and os.environ.get("RANK", "0") != "0"


def _plain(items: Iterable[T], label: str, total: int | None) -> Iterator[T]:
    """A line at the start, one about every ten seconds, one at the end."""
    start = last = time.monotonic()
    label, count = translated(label), 0  # a single word would stay as a name does
    for count, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - last > 10:
            last = now
            say(f"{label}: {count}/{total or '?'} ({now - start:.0f} s)")
    say(f"{label}: {count}/{total or count} done ({time.monotonic() - start:.1f} s)")


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
