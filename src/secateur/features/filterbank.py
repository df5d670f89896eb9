"""What several kinds of features share: frames and derivatives over time, mel scales, and Whisper's filterbank.

Its triangles are evenly spaced on Slaney's mel scale, each of unit area in Hz, and applied in bands, since each
covers a few neighbouring lines and most of the table is zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

# Slaney's scale (Auditory Toolbox, 1998): linear up to 1000 Hz, 15 mel; above, 27 mel for every factor of 6.4.
_HZ_PER_MEL = 200 / 3
_BREAK_HZ, _BREAK_MEL = 1000.0, 15.0
_LOG_STEP = np.log(6.4) / 27
_TOGETHER = 16  # filters a band: fewer multiply less by zero, more keep the products large
DELTA_CONTEXT = 2  # frames to each side
SCALE = np.float32(0.1)  # 1 / (2 * (1 + 4))
LEAST_DEVIATION = 0.04  # log units, less than speech and its deltas have: digital silence is not blown up


def hz_to_mel(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mel of frequencies in Hz.

    >>> hz_to_mel(np.array([0.0, 500.0, 1000.0, 6400.0])).round(3).tolist()
    [0.0, 7.5, 15.0, 42.0]
    """
    above = _BREAK_MEL + np.log(np.maximum(hz, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    return np.where(hz < _BREAK_HZ, hz / _HZ_PER_MEL, above)


def hz_to_htk_mel(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mel of frequencies in Hz on HTK's scale, `1127 ln(1 + f / 700)`.

    >>> hz_to_htk_mel(np.array([0.0, 1000.0, 8000.0])).round(1).tolist()
    [0.0, 1000.0, 2840.0]
    """
    return 1127.0 * np.log1p(hz / 700.0)


def htk_mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of `hz_to_htk_mel`."""
    return 700.0 * np.expm1(mel / 1127.0)


def mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Frequencies in Hz of mel values: the inverse of `hz_to_mel`."""
    above = _BREAK_HZ * np.exp(_LOG_STEP * (np.maximum(mel, _BREAK_MEL) - _BREAK_MEL))
    return np.where(mel < _BREAK_MEL, mel * _HZ_PER_MEL, above)


def triangles(lines: NDArray[np.float64], corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Filters (lines, corners - 2) that rise from a corner to the next, where they are 1, and fall to the one after."""
    low, centre, high = corners[:-2], corners[1:-1], corners[2:]
    rising = (lines[:, None] - low) / (centre - low)
    falling = (high - lines[:, None]) / (high - centre)
    filters: NDArray[np.float64] = np.maximum(0.0, np.minimum(rising, falling))
    return filters


def mel_corners(bins: int, top_hz: float) -> NDArray[np.float64]:
    """Where the filters start, peak and end, in Hz: filter b has the corners b, b + 1 and b + 2 of (bins + 2,)."""
    return mel_to_hz(np.linspace(0.0, hz_to_mel(np.array([top_hz]))[0], bins + 2))


@lru_cache(maxsize=16)
def mel_filters(sample_rate: int, window: int, bins: int, top_hz: float | None = None) -> NDArray[np.float32]:
    """Filters (window // 2 + 1, bins) from 0 Hz to `top_hz`: power spectrum @ filters = mel power.

    None is half the sample rate. With a higher top the filters stand where they would stand at twice that rate, and
    those that reach beyond half the sample rate miss what is not there. The array is shared and read-only.
    """
    spectrum = np.linspace(0.0, sample_rate / 2, window // 2 + 1)
    corners = mel_corners(bins, sample_rate / 2 if top_hz is None else top_hz)
    filters = (triangles(spectrum, corners) * 2.0 / (corners[2:] - corners[:-2])).astype(np.float32)
    filters.setflags(write=False)
    return filters


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


def frames_of(samples: NDArray[np.floating], size: int, hop: int) -> NDArray[np.floating]:
    """All whole frames (frames, size) of samples (samples,), `hop` apart: views, not to be written to.

    What `sliding_window_view` gives, at a tenth of its cost, which for blocks of a second is a tenth of the whole.
    """
    samples = np.ascontiguousarray(samples)
    step, count = samples.itemsize, max(0, (len(samples) - size) // hop + 1)
    return np.ndarray((count, size), samples.dtype, samples, strides=(hop * step, step))


def append_deltas(features: NDArray[np.float32], order: int) -> NDArray[np.float32]:
    """Features (frames, statics) with `order` derivatives after them: (frames, statics * (1 + order)).

    `d[t] = sum_n n * (x[t + n] - x[t - n]) / (2 * sum_n n * n)`, n = 1, 2. As in Kaldi, the first and the last frame
    are repeated beyond the clip, for the static features only.
    """
    if order == 0 or not len(features):
        return np.concatenate([features] * (1 + order), axis=1)
    around = np.pad(features, ((DELTA_CONTEXT * order, DELTA_CONTEXT * order), (0, 0)), mode="edge")
    parts = [features]
    for more in reversed(range(order)):
        around = SCALE * ((around[3:-1] - around[1:-3]) + 2 * (around[4:] - around[:-4]))
        parts.append(around[DELTA_CONTEXT * more : len(around) - DELTA_CONTEXT * more])
    return np.concatenate(parts, axis=1, dtype=np.float32)


def normalise(features: NDArray[np.float32], kind: str) -> NDArray[np.float32]:
    """Features (frames, inputs) with a mean of 0 over the clip and, for `mean_variance`, a deviation of 1."""
    if kind == "none" or not len(features):
        return features
    features = features - features.mean(0, dtype=np.float64).astype(np.float32)
    if kind == "mean":
        return features
    deviation = np.sqrt(np.square(features, dtype=np.float64).mean(0))
    scale: NDArray[np.float32] = np.maximum(deviation, LEAST_DEVIATION).astype(np.float32)
    return np.divide(features, scale)
