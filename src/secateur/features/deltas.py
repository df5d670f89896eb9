"""Features' derivatives over time, by regression over two frames to each side (Young et al., "The HTK Book")."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DELTA_CONTEXT = 2  # frames to each side
SCALE = np.float32(0.1)  # 1 / (2 * (1 + 4))


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
