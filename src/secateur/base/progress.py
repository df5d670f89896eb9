"""Long work: its progress, its end at the next step once nobody waits for it any more, and memory that runs out.

Bars where rich is installed and standard error is a terminal, plain lines otherwise. Of several processes that
`torchrun` started, only the first (RANK 0) shows anything.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from contextvars import ContextVar
from typing import TypeVar

from .errors import SecateurError
from .locale import translated

T = TypeVar("T")
_CANCELLED: ContextVar[Callable[[], bool] | None] = ContextVar("cancelled", default=None)
# torch on a CPU, onnxruntime, cuBLAS and cuDNN have no exception type of their own for it.
_EXHAUSTED = re.compile(
    "can't allocate memory|not enough memory|failed to allocate memory|bad_alloc|alloc_failed|bad allocation"
)


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


def out_of_memory(problem: BaseException) -> bool:
    """Whether `problem` says that memory ran out, the GPU's or the computer's (no torch needed here).

    >>> out_of_memory(MemoryError()), out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory"))
    (True, True)
    """
    if isinstance(problem, MemoryError) or type(problem).__name__ == "OutOfMemoryError":
        return True
    return not isinstance(problem, SecateurError) and bool(_EXHAUSTED.search(str(problem).lower()))


def in_halves(work: Callable[[Sequence[int]], Sequence[T]], rows: Sequence[int], what: str) -> list[T]:
    """The results of `work` for `rows`, one a row; when memory runs out, the rows are halved and tried again.

    Raises:
        SecateurError: not even one row fits.
    """
    try:
        return list(work(rows))
    except Exception as problem:
        if not out_of_memory(problem):
            raise
        if len(rows) == 1:
            raise SecateurError(
                f"{what}: out of memory with one clip: leave out long clips, use a smaller model, or free memory"
            ) from None
    # Outside of the handler: its traceback holds on to what the failed try had allocated.
    half = len(rows) // 2
    say(f"{what}: out of memory with {len(rows)} clips at once; continuing with {len(rows) - half}")
    return in_halves(work, rows[:half], what) + in_halves(work, rows[half:], what)


def trim() -> None:
    """Hand freed memory back to the system, where the C library can (glibc): it keeps much of it for later."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):  # another C library
        return
