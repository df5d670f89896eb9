"""From the channels of a recording to one: their mean, one side, or the louder side where the mean would cancel."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..base.errors import SecateurError

Channel = Literal["auto", "mix", "left", "right"] | int  # a number counts from 0
SIDES = ("left", "right")
PIECE = 0.25  # seconds that are judged at a time
CANCELLED = 0.25  # energy of the mean of two, where that of unrelated channels is 1 and that of equal ones 2
CANCELLED_OF_MORE = 0.1  # of more than two, where nobody wires a cable wrongly
SPOKEN, VARYING = -45.0, 12.0  # dBFS that a channel with speech reaches, and dB that it varies by
UNLIKE = 0.4  # correlation of levels, and of samples, below which two channels have different speakers
SHARE = 0.05  # of a recording's energy that lies in such pieces, from which on the mean is not used

Array = NDArray[np.float32]


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
