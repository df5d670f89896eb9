"""Resampling with soxr at high quality: band-limited, about 20 bits, phase kept."""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray


def resample(audio: NDArray[np.float32], source_rate: float, target_rate: float) -> NDArray[np.float32]:
    """`audio` (samples,) at `source_rate` Hz, as it sounds at `target_rate` Hz."""
    if source_rate == target_rate or len(audio) == 0:
        return audio
    resampled: NDArray[np.float32] = soxr.resample(audio, source_rate, target_rate, quality="HQ")
    return resampled.astype(np.float32, copy=False)
