"""The samples themselves as features: what Wav2Vec2 and its kin hear (Baevski et al. 2020, arXiv 2006.11477)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LEAST_VARIANCE = 1e-7  # added to each clip's, as `transformers`' feature extractor does


def samples_as_features(audio: NDArray[np.floating], normalised: bool) -> NDArray[np.float32]:
    """(samples,) to (samples, 1); `normalised` to a mean of 0 and a variance of 1 over the clip."""
    samples = np.asarray(audio, np.float32)
    if normalised and len(samples):
        exact = samples.astype(np.float64)
        samples = ((exact - exact.mean()) / np.sqrt(exact.var() + LEAST_VARIANCE)).astype(np.float32)
    return samples[:, None]
