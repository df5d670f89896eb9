"""How many letters two texts differ by."""

from __future__ import annotations

import numpy as np


def within(part: str, whole: str) -> int:
    """Letters by which `part` differs from the piece of `whole` that is nearest to it.

    >>> within("kitchen", "turnonthekittenlight"), within("office", "turnonthelightintheattic") > 3
    (2, True)
    """
    row = np.zeros(len(whole) + 1, int)
    other = np.frombuffer(whole.encode("utf-32-le"), np.uint32)
    steps = np.arange(len(whole) + 1)
    for i, letter in enumerate(part, 1):
        best = np.minimum(row[:-1] + (other != ord(letter)), row[1:] + 1)
        row = np.minimum.accumulate(np.concatenate([[i], best]) - steps) + steps
    return int(row.min())


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
