"""From log-mel to cepstrum: the cosine transform and the lifter."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def cosine_rows(coefficients: tuple[int, ...], bins: int, lifter: float) -> NDArray[np.float32]:
    """The rows `coefficients` of the orthonormal DCT-II over `bins`, each times its lifter: (coefficients, bins).

    The lifter `1 + lifter / 2 * sin(pi * k / lifter)` evens out the range of coefficients `k` (Young et al., "The HTK
    Book"); 0 is none.
    """
    k = np.array(coefficients, np.float64)[:, None]
    rows = np.sqrt(2 / bins) * np.cos(np.pi / bins * k * (np.arange(bins) + 0.5))
    rows[k[:, 0] == 0] = np.sqrt(1 / bins)
    if lifter:
        rows *= 1 + lifter / 2 * np.sin(np.pi * k / lifter)
    table: NDArray[np.float32] = rows.astype(np.float32)
    return table
