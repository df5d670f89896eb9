"""A decoder without further speech can repeat a phrase in a loop; the phrase is kept once."""

from __future__ import annotations

from collections.abc import Sequence

LOOP_TIMES = 3  # a loop comes round at least so often
LOOP_TOKENS = 12  # and is at least so long, so that "zero zero zero zero" is not one


def cut_loops(ids: Sequence[int], tokens: int = LOOP_TOKENS) -> list[int]:
    """`ids` up to and with the first round of the first loop in them; unchanged when nothing loops.

    A loop is a run of `n` tokens that follows itself at once, at least three times and over at least `tokens` in
    all.

    >>> cut_loops([7, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4, 1])
    [7, 1, 2, 3, 4]
    >>> cut_loops([5, 5, 5, 5, 9])
    [5, 5, 5, 5, 9]
    """
    row = list(ids)
    for start in range(len(row) - tokens + 1):
        if (loop := _loop(row, start, tokens)) is not None:
            return row[: start + loop[0]]
    return row


def collapse_loops(ids: Sequence[int]) -> list[int]:
    """`ids` with every loop in them (see `cut_loops`) gone round once; what comes after it stays.

    >>> collapse_loops([7, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4, 1, 9])
    [7, 1, 2, 3, 4, 9]
    """
    return [ids[place] for place in first_rounds(ids)]


def first_rounds(ids: Sequence[int]) -> list[int]:
    """The places in `ids` that `collapse_loops` keeps."""
    kept, start = list[int](), 0
    while start < len(ids):
        length, run = _loop(ids, start, LOOP_TOKENS) or (1, 1)
        kept += range(start, start + length)
        start += run
    return kept


def _loop(row: Sequence[int], start: int, tokens: int) -> tuple[int, int] | None:
    """Length of one round, and of all rounds, of the loop that begins at `start`; None where none does."""
    for n in range(1, (len(row) - start) // LOOP_TIMES + 1):
        run = n  # how far row[start:] repeats with period n
        while start + run < len(row) and row[start + run] == row[start + run - n]:
            run += 1
        if run >= max(LOOP_TIMES * n, tokens):
            return n, run
    return None
