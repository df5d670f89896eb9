"""Greedy CTC decoding: the best unit of every frame, repeats once, blanks left out (Graves et al. 2006)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BLANK = 0


def greedy(log_probs: NDArray[np.floating]) -> list[int]:
    """Units of one clip from `log_probs` (frames, units).

    >>> path = [1, 1, 0, 1, 2, 2, 0]
    >>> greedy(np.log(np.eye(3)[path] + 1e-9))
    [1, 1, 2]
    """
    if not len(log_probs):
        return []
    best = np.asarray(log_probs).argmax(1)
    first = np.concatenate([[True], best[1:] != best[:-1]])
    return [int(unit) for unit in best[first & (best != BLANK)]]
