"""Tables of Kaldi's features: window, mel filters, which of them are still needed (Povey et al. 2011, "The Kaldi
Speech Recognition Toolkit").

Kaldi's frame: cut from the clip, its mean subtracted, pre-emphasised, windowed, zero-padded to a power of two,
transformed; the power of its spectrum through triangular filters, evenly spaced on HTK's mel scale; the logarithm.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .filterbank import hz_to_htk_mel, triangles
from .front_end import FrontEnd

FLOOR = float(np.finfo(np.float32).eps)  # energies are clamped here before the logarithm


def window_of(shape: str, size: int) -> NDArray[np.float64]:
    """The symmetric window (size,) named `hann`, `hamming` or `povey` (Hann to the power 0.85)."""
    cosine = np.cos(2 * np.pi * np.arange(size) / (size - 1))
    if shape == "hamming":
        return 0.54 - 0.46 * cosine
    return (0.5 - 0.5 * cosine) ** (0.85 if shape == "povey" else 1.0)


def transform_size(window: int) -> int:
    """The power of two that a frame of `window` samples is padded to.

    >>> transform_size(400), transform_size(256)
    (512, 256)
    """
    return 1 << (window - 1).bit_length()


def htk_filters(front_end: FrontEnd) -> NDArray[np.float64]:
    """Filters (transform size // 2 + 1, bins): power spectrum @ filters = mel power. Each peaks at 1."""
    size = transform_size(front_end.window)
    spectrum = hz_to_htk_mel(np.linspace(0.0, front_end.sample_rate / 2, size // 2 + 1))
    bottom, top = hz_to_htk_mel(np.array([front_end.low_hz, front_end.top_hz])).tolist()
    filters = triangles(spectrum, np.linspace(bottom, top, front_end.bins + 2))
    filters[-1] = 0.0  # Kaldi leaves half the sample rate out
    return filters


@dataclass(frozen=True, eq=False)
class Needed:
    """What is left to compute after dimensions were pruned: pruned inputs make the front-end itself smaller.

    A pruned bin of `fbank` removes its filter, and the spectrum is computed only where a filter is left.
    A pruned coefficient of `mfcc` removes its row of the cosine transform. A static feature stays as long as it
    or any of its deltas is kept.
    """

    statics: tuple[int, ...]  # numbers of the static features still computed
    columns: tuple[int, ...] | None  # of these statics and their deltas, the ones that reach the network; None: all
    bins: tuple[int, ...]  # mel filters still applied
    energy: bool  # the energy is still one of `statics`, and then the first
    first: int  # the lowest line of the spectrum that a filter covers
    filters: NDArray[np.float32]  # (lines, bins), from line `first` on


@lru_cache(maxsize=16)
def needed(front_end: FrontEnd) -> Needed:
    """The part of `fbank` or `mfcc` that the front-end's `kept` dimensions need."""
    width, energy = front_end.statics, front_end.energy
    kept = tuple(range(front_end.dimensions)) if front_end.kept is None else front_end.kept
    statics = tuple(sorted({one % width for one in kept}))
    columns = tuple(one // width * len(statics) + statics.index(one % width) for one in kept)
    everything = tuple(range(len(statics) * (1 + front_end.deltas)))
    if not front_end.coefficients:
        bins = tuple(one - energy for one in statics if one >= energy)
    else:  # every coefficient but the energy in its first place is made of all bins
        bins = front_end.audible if statics != (0,) or not energy else ()
    filters = htk_filters(front_end)[:, bins]
    lines = np.flatnonzero(filters.any(1))
    first, last = (int(lines[0]), int(lines[-1])) if len(lines) else (0, 0)
    table = np.ascontiguousarray(filters[first : last + 1], np.float32)
    table.setflags(write=False)
    return Needed(statics, None if columns == everything else columns, bins, energy and statics[0] == 0, first, table)


def cepstrum(front_end: FrontEnd) -> NDArray[np.float32]:
    """The cosine transform (needed bins, needed coefficients) of `mfcc`.

    Bins beyond half the sample rate, which a front-end of a higher rate once had, count as their highest neighbour.
    """
    part = needed(front_end)
    rows = cosine_rows(part.statics[int(part.energy) :], front_end.bins, front_end.lifter)
    covered = rows[:, : len(part.bins)]
    if part.bins and len(part.bins) < front_end.bins:
        covered[:, -1] += rows[:, len(part.bins) :].sum(1)
    return np.ascontiguousarray(covered.T)


def cosine_rows(coefficients: tuple[int, ...], bins: int, lifter: float) -> NDArray[np.float32]:
    """The rows `coefficients` of the orthonormal DCT-II over `bins`, each times its lifter: (coefficients, bins).

    The lifter `1 + lifter / 2 * sin(pi * k / lifter)` evens out the range of coefficients `k` (Young et al., "The HTK
    Book"); 0 is none.
    """
    k = np.array(coefficients, np.float64)[:, None]
    rows = np.sqrt(2 / bins) * np.cos(np.pi / bins * k * (np.arange(bins) + 0.5))
    rows[k[:, 0] == 0] = np.sqrt(1 / bins)
    if lifter:
        rows *= 1 + lifter / 2 * np.sin(np.pi * k / lifter)
    table: NDArray[np.float32] = rows.astype(np.float32)
    return table
