"""A decoder without further speech can repeat a phrase in a loop; the phrase is kept once."""

from __future__ import annotations

from collections.abc import Sequence

LOOP_TIMES = 3  # a loop comes round at least so often
LOOP_TOKENS = 12  # and is at least so long, so that "zero zero zero zero" is not one


def cut_loops(ids: Sequence[int], times: int = LOOP_TIMES, tokens: int = LOOP_TOKENS) -> list[int]:
    """`ids` up to and with the first round of the first loop in them; unchanged when nothing loops.

    A loop is a run of `n` tokens that follows itself at once, at least `times` times and over at least `tokens`
    tokens in all.

    >>> cut_loops([7, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4, 1])
    [7, 1, 2, 3, 4]
    >>> cut_loops([5, 5, 5, 5, 9])
    [5, 5, 5, 5, 9]
    """
    row = list(ids)
    for start in range(len(row) - tokens + 1):
        for n in range(1, (len(row) - start) // times + 1):
            run = n  # how far row[start:] repeats with period n
            while start + run < len(row) and row[start + run] == row[start + run - n]:
                run += 1
            if run >= max(times * n, tokens):
                return row[: start + n]
    return row
