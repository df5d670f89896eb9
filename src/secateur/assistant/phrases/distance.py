"""How many letters two texts differ by."""

from __future__ import annotations

import numpy as np


def distance(a: str, b: str) -> int:
    """Letters to put in, leave out or change (Levenshtein), a row of the table at a time.

    >>> distance("kitten", "sitting")
    3
    """
    if not a or not b:
        return len(a) + len(b)
    other = np.frombuffer(b.encode("utf-32-le"), np.uint32)
    steps = np.arange(len(b) + 1)
    row = steps.copy()
    for i, letter in enumerate(a, 1):
        changed = row[:-1] + (other != ord(letter))
        best = np.minimum(changed, row[1:] + 1)
        # Letters put in: the running minimum of best - place, plus place.
        row = np.minimum.accumulate(np.concatenate([[i], best]) - steps) + steps
    return int(row[-1])
