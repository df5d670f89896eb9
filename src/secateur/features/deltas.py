"""Features' derivatives over time, by regression over two frames to each side (Young et al., "The HTK Book")."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

REACH = 2  # frames to each side
SCALE = np.float32(0.1)  # 1 / (2 * (1 + 4))


def append_deltas(features: NDArray[np.float32], order: int) -> NDArray[np.float32]:
    """Features (frames, statics) with `order` derivatives after them: (frames, statics * (1 + order)).

    `d[t] = sum_n n * (x[t + n] - x[t - n]) / (2 * sum_n n * n)`, n = 1, 2. As in Kaldi, the first and the last frame
    stand in for what lies beyond the clip, of the static features and of nothing else.
    """
    if order == 0 or not len(features):
        return np.concatenate([features] * (1 + order), axis=1)
    around = np.pad(features, ((REACH * order, REACH * order), (0, 0)), mode="edge")
    parts = [features]
    for more in reversed(range(order)):
        around = SCALE * ((around[3:-1] - around[1:-3]) + 2 * (around[4:] - around[:-4]))
        parts.append(around[REACH * more : len(around) - REACH * more])
    return np.concatenate(parts, axis=1, dtype=np.float32)
