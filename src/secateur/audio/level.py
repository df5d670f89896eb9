"""How loud a clip is, in dBFS: decibels relative to full scale, where 0 dB is a magnitude of 1."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SILENCE_DB = -60.0  # quieter than the noise of nearly every room and microphone
CLIPPED = 0.999  # a magnitude from here on counts as clipped; lossy codecs and resampling move it a little below 1


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
