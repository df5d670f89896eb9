"""Features of one clip in numpy, of any kind: the runtime's side of the definition (training's is `extractor`)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .deltas import append_deltas
from .fbank import statics
from .front_end import FrontEnd
from .kaldi import needed
from .mel import log_mel
from .nemo import nemo_log_mel
from .normalise import normalise
from .waveform import samples_as_features


def extract(audio: NDArray[np.floating], front_end: FrontEnd) -> NDArray[np.float32]:
    """Features (frames, inputs) of one clip (samples,) in [-1, 1] at the front-end's sample rate.

    Whisper's log-mel, or: static features, their deltas, normalised over the clip, of which the kept ones are given.

    Raises:
        ValueError: `audio` is not one channel.
    """
    if front_end.kind == "whisper":
        return log_mel(audio, front_end)
    samples = np.asarray(audio, dtype=np.float32)
    if samples.ndim != 1:
        raise ValueError(f"audio must be one channel (samples,), found shape {samples.shape}")
    if front_end.kind == "waveform":
        return samples_as_features(samples, front_end.normalise == "mean_variance")
    if front_end.kind == "nemo":
        return nemo_log_mel(samples, front_end)
    features = append_deltas(statics(samples, front_end), front_end.deltas)
    columns = needed(front_end).columns
    if columns is not None:
        features = features[:, columns]
    return normalise(features, front_end.normalise)
