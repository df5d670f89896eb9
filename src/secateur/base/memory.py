"""Running out of memory, however a library reports it."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import TypeVar

from .errors import SecateurError
from .progress import say

T = TypeVar("T")

# torch on a CPU, onnxruntime, cuBLAS and cuDNN have no exception type of their own for it.
_MESSAGES = ("can't allocate memory", "not enough memory", "failed to allocate memory", "bad_alloc", "alloc_failed",
          "bad allocation")  # fmt: skip


def out_of_memory(problem: BaseException) -> bool:
    """Whether `problem` says that memory ran out, the GPU's or the computer's (no torch needed here).

    >>> out_of_memory(MemoryError()), out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory"))
    (True, True)
    """
    if isinstance(problem, MemoryError) or type(problem).__name__ == "OutOfMemoryError":
        return True
    return not isinstance(problem, SecateurError) and any(message in str(problem).lower() for message in _MESSAGES)


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
