"""Log-mel features as NVIDIA NeMo computes them for Parakeet and its kin, and `transformers` after it.

The whole clip is pre-emphasised, its ends are silence, a symmetric Hann window, Slaney's filters on the power spectrum,
`log(mel + 2 ** -24)`; each bin is normalised over the clip's own frames.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..base.errors import SecateurError
from .filterbank import frames_of, mel_filters
from .front_end import FrontEnd, Kind
from .kaldi import transform_size, window_of

GUARD = 2.0**-24  # added to mel powers before the logarithm
LEAST_DEVIATION = 1e-5  # added to each bin's deviation
_BLOCK = 256  # frames transformed at a time


@lru_cache(maxsize=16)
def tables(front_end: FrontEnd) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The window (window,) and the filters (transform size // 2 + 1, bins)."""
    f = front_end
    filters = mel_filters(f.sample_rate, transform_size(f.window), f.bins).astype(np.float64)
    return window_of(f.window_shape, f.window), filters


def nemo_log_mel(samples: NDArray[np.float32], front_end: FrontEnd) -> NDArray[np.float32]:
    """Features (samples // hop, bins) of one clip (samples,); a clip shorter than a hop has no frame."""
    f = front_end
    frames = f.frames(len(samples))
    if frames == 0:
        return np.zeros((0, f.bins), np.float32)
    window, filters = tables(f)
    exact = samples.astype(np.float64)
    exact[1:] -= f.preemphasis * samples[:-1]
    views = frames_of(np.pad(exact, f.window // 2), f.window, f.hop)[:frames]
    mel = np.empty((frames, f.bins))
    for start in range(0, frames, _BLOCK):
        spectrum = np.fft.rfft(views[start : start + _BLOCK] * window, transform_size(f.window), axis=1)
        mel[start : start + _BLOCK] = (np.square(spectrum.real) + np.square(spectrum.imag)) @ filters
    mel = np.log(mel + GUARD)
    apart = mel - mel.mean(0)
    deviation = np.sqrt(np.square(apart).sum(0) / max(frames - 1, 1))
    return np.asarray(apart / (deviation + LEAST_DEVIATION), np.float32)


class NemoKind(Kind):
    """NeMo's log-mel. Its networks read it as a picture with convolutions, so that no bin can be removed."""

    name, title = "nemo", "NeMo's features"
    in_torch, in_onnx = "secateur.features.nemo_torch:NemoLogMel", "secateur.export.nemo_features:features_graph"
    usual: ClassVar[Mapping[str, Any]] = {"preemphasis": 0.97, "normalise": "mean_variance"}
    uses = frozenset({"preemphasis"})

    def extract(self, samples: NDArray[np.float32], f: FrontEnd) -> NDArray[np.float32]:
        """See `nemo_log_mel`."""
        return nemo_log_mel(samples, f)

    def reads_below(self, f: FrontEnd, bins: set[int]) -> tuple[int, ...]:
        """See `Kind.reads_below`."""
        raise SecateurError("sample_rate: this network reads its features as a picture and cannot lose any")


KIND = NemoKind()
