"""A filterbank applied in bands: each filter covers a few neighbouring lines, so most of its table is zero."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_TOGETHER = 16  # filters a band: fewer multiply less by zero, more keep the products large


@dataclass(frozen=True, eq=False)
class Band:
    """Neighbouring filters, and the lines of the spectrum that any of them covers."""

    lines: slice
    bins: slice
    filters: NDArray[np.float32]  # (lines, bins)


def in_bands(filters: NDArray[np.float32]) -> tuple[Band, ...]:
    """The table (lines, bins) as bands."""
    bands = []
    for start in range(0, filters.shape[1], _TOGETHER):
        bins = slice(start, min(start + _TOGETHER, filters.shape[1]))
        nonzero = np.flatnonzero(filters[:, bins].any(1))
        lines = slice(int(nonzero[0]), int(nonzero[-1]) + 1) if len(nonzero) else slice(0, 1)
        bands.append(Band(lines, bins, np.ascontiguousarray(filters[lines, bins])))
    return tuple(bands)


def apply_bands(power: NDArray[np.float32], bands: tuple[Band, ...], out: NDArray[np.float32]) -> None:
    """Write `power` (frames, lines) through the filters into `out` (frames, bins)."""
    for band in bands:
        np.matmul(power[:, band.lines], band.filters, out=out[:, band.bins])
