"""Which single weights of a kernel go: the least of all, of blocks, or of every M consecutive inputs of an output."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..base.errors import SecateurError

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
UNITS, SINGLE = "units", "unstructured"


@dataclass(frozen=True)
class Pattern:
    """`kind` is "unstructured", "block" (`first` inputs by `second` outputs) or "n:m" (`first` of `second` stay)."""

    kind: str
    first: int = 1
    second: int = 1

    def removed(self, scores: Floats, share: float) -> Bools:
        """True at the `share` of the weights (inputs, outputs) that scores least; weights at minus infinity go first.

        Blocks at the edges are smaller; as many go as come nearest to the share. For N:M, `share` is of the groups
        that are thinned, those first that lose least: 1 is the whole pattern.
        Inputs beyond the last whole group of M stay.
        """
        if self.kind == "n:m":
            return self._thinned(scores, share)
        rows, columns = scores.shape
        down, across = (-(-size // step) for size, step in ((rows, self.first), (columns, self.second)))
        padded = np.full((down * self.first, across * self.second), np.nan, np.float32)
        padded[:rows, :columns] = scores
        blocks = padded.reshape(down, self.first, across, self.second)
        sizes = (~np.isnan(blocks)).sum((1, 3))
        means = np.nansum(blocks, axis=(1, 3)) / sizes
        order = np.argsort(means, axis=None, kind="stable")
        removed = np.concatenate([[0], np.cumsum(sizes.ravel()[order])])  # weights after so many blocks
        chosen = lowest(means, int(np.argmin(np.abs(removed - share * scores.size))))
        result: Bools = np.kron(chosen, np.ones((self.first, self.second), bool))[:rows, :columns]
        return result

    def _thinned(self, scores: Floats, share: float) -> Bools:
        keep, size = self.first, self.second
        rows, columns = scores.shape
        whole = rows // size
        groups = scores[: whole * size].reshape(whole, size, columns)
        order = np.argsort(groups, axis=1, kind="stable")[:, : size - keep]
        removed = np.zeros(groups.shape, bool)
        np.put_along_axis(removed, order, True, axis=1)
        lost = np.take_along_axis(groups, order, axis=1).sum(1)
        removed &= lowest(lost, round(share * lost.size))[:, None]
        result = np.zeros(scores.shape, bool)
        result[: whole * size] = removed.reshape(whole * size, columns)
        return result


def parse(pattern: str) -> Pattern | None:
    """The pattern of "unstructured", "4x4" or "2:4"; None for "units".

    Raises:
        SecateurError: none of these.
    """
    if pattern == UNITS:
        return None
    if pattern == SINGLE:
        return Pattern(SINGLE)
    match = re.fullmatch(r"(\d+)([x:])(\d+)", pattern)
    first, second = (int(match[1]), int(match[3])) if match else (0, 0)
    if match and match[2] == "x" and min(first, second) > 0:
        return Pattern("block", first, second)
    if match and match[2] == ":" and 0 < first < second:
        return Pattern("n:m", first, second)
    raise SecateurError(
        f"pattern '{pattern}' is not known: units, unstructured, blocks of inputs x outputs such as 4x4, or N:M with "
        "0 < N < M such as 2:4"
    )


def lowest(scores: Floats, count: int) -> Bools:
    """True at the `count` lowest, the first ones of equal ones."""
    result = np.zeros(scores.size, bool)
    result[np.argsort(scores, axis=None, kind="stable")[:count]] = True
    return result.reshape(scores.shape)
