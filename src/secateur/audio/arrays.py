"""Samples: of other libraries' arrays, at any rate; from several channels to one, where the mean may cancel."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import soxr
from numpy.typing import NDArray

from ..base.errors import SecateurError

Array = NDArray[np.float32]
# What is subtracted and what a sample is divided by, of integers as sound files have them.
SCALES = {"int8": (0, 1 << 7), "uint8": (1 << 7, 1 << 7), "int16": (0, 1 << 15), "int32": (0, 1 << 31)}
MOST_CHANNELS = 16
RATES = (4_000, 384_000)  # Hz, as of files
OVER = 2.0  # floats beyond so many times full scale are made quieter, as a whole, instead of clipped
LOUDEST = 100.0  # a float a hundred times full scale is an integer that was not divided
Channel = Literal["auto", "mix", "left", "right"] | int  # a number counts from 0
SIDES = ("left", "right")
PIECE = 0.25  # seconds of channels that are judged at a time
CANCELLED = 0.25  # energy of the mean of two, where that of unrelated channels is 1 and that of equal ones 2
CANCELLED_OF_MORE = 0.1  # of more than two, where nobody wires a cable wrongly
SPOKEN, VARYING = -45.0, 12.0  # dBFS that a channel with speech reaches, and dB that it varies by
UNLIKE = 0.4  # correlation of levels, and of samples, below which two channels have different speakers
SHARE = 0.05  # of a recording's energy that lies in such pieces, from which on the mean is not used
SILENCE_DB = -60.0  # quieter than the noise of nearly every room and microphone
CLIPPED = 0.999  # a magnitude from here on counts as clipped; lossy codecs and resampling move it a little below 1


def resample(audio: NDArray[np.float32], source_rate: float, target_rate: float) -> NDArray[np.float32]:
    """`audio` (samples,) at `source_rate` Hz, as it sounds at `target_rate` Hz."""
    if source_rate == target_rate or len(audio) == 0:
        return audio
    resampled: NDArray[np.float32] = soxr.resample(audio, source_rate, target_rate, quality="HQ")
    return resampled.astype(np.float32, copy=False)


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


class Mixer:
    """Mixes blocks (samples, channels) and notes how much of the sound is lost by it.

    A call has a speaker a side, and both must be in the mean; a wrongly wired cable gives right = -left, whose mean is
    silence. They are distinguished by the energy of the mean against the sum of the channels' energies: unrelated
    channels add up, opposite ones cancel, also in part of the time or with unequal levels.
    """

    def __init__(self) -> None:
        self._loudness = np.zeros(0)  # energy of each channel
        self._energy = self._cancelled = 0.0

    def mix(self, block: Array, rate: int) -> Array:
        """The mean of all channels (samples,)."""
        if block.shape[1] == 1:
            return block[:, 0]
        count = block.shape[1]
        channels = np.ascontiguousarray(block.T)
        mean: Array = channels[0] + channels[1] if count == 2 else channels.sum(axis=0)
        mean /= np.float32(count)
        least = CANCELLED if count == 2 else CANCELLED_OF_MORE
        loudness = np.zeros(count)
        size = max(1, round(PIECE * rate))
        for start in range(0, len(block), size):
            piece = slice(start, start + size)
            each = np.array([float(np.dot(channel[piece], channel[piece])) for channel in channels])
            loudness += each
            total = float(each.sum())
            self._energy += total
            if float(np.dot(mean[piece], mean[piece])) * count**2 < least * total:
                self._cancelled += total
        if len(loudness) > len(self._loudness):
            loudness[: len(self._loudness)] += self._loudness
            self._loudness = loudness
        else:
            self._loudness[: len(loudness)] += loudness
        return mean

    @property
    def cancels(self) -> bool:
        """Whether the mean loses sound."""
        return self._cancelled > SHARE * self._energy

    @property
    def loudest(self) -> int:
        """The channel with most energy; the first of equally loud ones."""
        return int(np.argmax(self._loudness >= 0.999 * self._loudness.max()))


def hold_different_speech(channels: Array, rate: int) -> bool:
    """Whether two channels (2, samples) have a speaker each: both vary as speech does, and neither follows the other.

    Two microphones in one room are alike in their loudness, where their samples are not.
    """
    size = max(1, round(0.1 * rate))
    count = channels.shape[1] // size
    if channels.shape[0] != 2 or count < 10:
        return False
    pieces = channels[:, : count * size].reshape(2, count, size).astype(np.float64)
    levels = 10 * np.log10(np.square(pieces).mean(2) + 1e-10)  # dB of full scale
    high, low = np.percentile(levels, 95, axis=1), np.percentile(levels, 10, axis=1)
    if high.min() < SPOKEN or (high - low).min() < VARYING:
        return False
    of_levels, of_samples = (np.atleast_2d(np.corrcoef(one))[0, 1] for one in (levels, pieces.reshape(2, -1)))
    return bool(max(of_levels, abs(of_samples)) < UNLIKE)


def one_of(block: Array, channel: str | int, name: str) -> Array:
    """One channel (samples,) of a block (samples, channels).

    Raises:
        SecateurError: there is no such channel; a recording with one channel has no sides.
    """
    count = block.shape[1]
    if isinstance(channel, str) and count < 2:
        raise SecateurError(f"{name}: one channel only, it has no {channel} one: leave out the channel")
    number = SIDES.index(channel) if isinstance(channel, str) else channel
    if not 0 <= number < count:
        raise SecateurError(f"{name}: no channel number {number}, it has {count} (counted from 0)")
    return block[:, number]


def side_name(number: int, count: int) -> str:
    """The name of a channel in messages and transcripts.

    >>> [side_name(n, 2) for n in (0, 1)], side_name(2, 6)
    (['left', 'right'], '3')
    """
    return SIDES[number] if count == 2 else str(number + 1)


def rms_db(audio: NDArray[np.floating]) -> float:
    """Root-mean-square level in dBFS of samples in [-1, 1]; minus infinity for silence or no samples.

    >>> round(rms_db(np.full(100, 0.1)), 6)
    -20.0
    """
    return _db(float(np.sqrt(np.mean(np.square(audio, dtype=np.float64)))) if audio.size else 0.0)


def peak_db(audio: NDArray[np.floating]) -> float:
    """Largest magnitude in dBFS; minus infinity for silence or no samples.

    >>> round(peak_db(np.array([0.0, -1.0])), 6)
    0.0
    """
    return _db(float(np.max(np.abs(audio))) if audio.size else 0.0)


def clipped_share(audio: NDArray[np.floating]) -> float:
    """Share of samples, 0 to 1, at full scale: speech that was recorded too loud has more than about 0.001."""
    return float(np.mean(np.abs(audio) >= CLIPPED)) if audio.size else 0.0


def is_silent(audio: NDArray[np.floating], threshold_db: float = SILENCE_DB) -> bool:
    """Whether no 20th of the clip is louder than `threshold_db` dBFS: one word in a long silence is not silence."""
    return all(rms_db(part) < threshold_db for part in np.array_split(audio, 20))


def _db(magnitude: float) -> float:
    return 20 * float(np.log10(magnitude)) if magnitude > 0 else float("-inf")
