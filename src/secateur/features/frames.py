"""What several kinds of features share: overlapping frames, derivatives over time, normalisation by clip (numpy)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DELTA_CONTEXT = 2  # frames to each side
SCALE = np.float32(0.1)  # 1 / (2 * (1 + 4))
LEAST_DEVIATION = 0.04  # log units, less than speech and its deltas have: digital silence is not blown up


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
