"""Arrays that other libraries give as samples: floats or integers, a channel or several, at any rate; resampling."""

from __future__ import annotations

from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from ..base.errors import SecateurError
from .channels import Mixer


def resample(audio: NDArray[np.float32], source_rate: float, target_rate: float) -> NDArray[np.float32]:
    """`audio` (samples,) at `source_rate` Hz, as it sounds at `target_rate` Hz."""
    if source_rate == target_rate or len(audio) == 0:
        return audio
    resampled: NDArray[np.float32] = soxr.resample(audio, source_rate, target_rate, quality="HQ")
    return resampled.astype(np.float32, copy=False)


Array = NDArray[np.float32]

# What is subtracted and what a sample is divided by, of integers as sound files have them.
SCALES = {"int8": (0, 1 << 7), "uint8": (1 << 7, 1 << 7), "int16": (0, 1 << 15), "int32": (0, 1 << 31)}
MOST_CHANNELS = 16
RATES = (4_000, 384_000)  # Hz, as of files
OVER = 2.0  # floats beyond so many times full scale are made quieter, as a whole, instead of clipped
LOUDEST = 100.0  # a float a hundred times full scale is an integer that was not divided


def as_samples(values: object, wanted: int, sample_rate: float | None = None) -> Array:
    """Samples (samples,) from -1 to 1 at `wanted` Hz.

    Args:
        values: (samples,), (samples, channels) or (channels, samples), the shorter side being channels; floats
            from -1 to 1, or integers of 8, 16 or 32 bits at full scale. Channels are averaged, or the loudest is taken
            where they cancel each other.
        sample_rate: Hz of `values`; None: `wanted`.

    Raises:
        SecateurError: another shape or type, NaN or infinity, floats far above 1, a rate outside 4 to 384 kHz.
    """
    try:
        array = np.asarray(values)
    except (ValueError, TypeError, RuntimeError) as problem:  # ragged lists, tensors of a GPU or with gradients
        raise SecateurError(f"samples must be an array of numbers ({str(problem).splitlines()[0]})") from problem
    rate = _checked_rate(sample_rate, wanted)
    samples = _one_channel(_scaled(_sides(array)), rate)
    if rate != wanted and len(samples):
        samples = soxr.resample(samples, rate, wanted)
    return np.ascontiguousarray(samples, np.float32)


def _checked_rate(sample_rate: float | None, wanted: int) -> float:
    if sample_rate is None:
        return wanted
    number = isinstance(sample_rate, int | float | np.integer | np.floating) and not isinstance(sample_rate, bool)
    if not number or not RATES[0] <= sample_rate <= RATES[1]:
        raise SecateurError(f"sample_rate must be from {RATES[0]} to {RATES[1]} Hz, got {sample_rate!r}")
    return float(sample_rate)


def _sides(array: NDArray[Any]) -> NDArray[Any]:
    """`array` as (samples, channels), transposed where channels come first."""
    if array.ndim == 1:
        return array[:, None]
    if array.ndim == 2 and 0 < min(array.shape) <= MOST_CHANNELS and array.shape[0] != array.shape[1]:
        return array if array.shape[1] < array.shape[0] else array.T
    shape = f"{array.dtype.name} of shape {array.shape}"
    raise SecateurError(f"samples must be (samples,), (samples, channels) or (channels, samples), got {shape}")


def _scaled(array: NDArray[Any]) -> Array:
    """Floats from -1 to 1."""
    kind = array.dtype.name
    if kind in SCALES:
        zero, full = SCALES[kind]
        return ((array.astype(np.float64) - zero) / full).astype(np.float32)
    if not np.issubdtype(array.dtype, np.floating):
        raise SecateurError(f"samples must be floats from -1 to 1, or {', '.join(SCALES)}; got {kind}")
    if not np.isfinite(array).all():
        raise SecateurError("samples contain NaN or infinity")
    peak = float(np.abs(array).max(initial=0))
    if peak > LOUDEST:
        raise SecateurError(f"samples must be floats from -1 to 1, got {peak:g}: divide integers by their full scale")
    return (array / peak if peak > OVER else array).astype(np.float32, copy=False)


def _one_channel(sides: Array, rate: float) -> Array:
    mixer = Mixer()
    mixed = mixer.mix(sides, round(rate))
    return sides[:, mixer.loudest] if sides.shape[1] > 1 and mixer.cancels else mixed
