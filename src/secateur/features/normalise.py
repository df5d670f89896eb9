"""Per-clip normalisation in numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LEAST_DEVIATION = 0.04  # log units, less than speech and its deltas have: digital silence is not blown up


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
