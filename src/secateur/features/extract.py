"""Features of one clip in numpy, of any kind: the runtime's side of the definition (training's is `extractor`)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .front_end import FrontEnd


def extract(audio: NDArray[np.floating], front_end: FrontEnd) -> NDArray[np.float32]:
    """Features (frames, inputs) of one clip (samples,) in [-1, 1] at the front-end's sample rate.

    Raises:
        ValueError: `audio` is not one channel.
    """
    samples = np.asarray(audio, dtype=np.float32)
    if samples.ndim != 1:
        raise ValueError(f"audio must be one channel (samples,), found shape {samples.shape}")
    return front_end.definition.extract(samples, front_end)
