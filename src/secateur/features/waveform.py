"""The samples themselves as features: the input of Wav2Vec2 and its kin (Baevski et al. 2020, arXiv 2006.11477)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..base.errors import SecateurError
from .front_end import FrontEnd, Kind

LEAST_VARIANCE = 1e-7  # added to each clip's, as `transformers`' feature extractor does


def samples_as_features(audio: NDArray[np.floating], normalised: bool) -> NDArray[np.float32]:
    """(samples,) to (samples, 1); `normalised` to a mean of 0 and a variance of 1 over the clip."""
    samples = np.asarray(audio, np.float32)
    if normalised and len(samples):
        exact = samples.astype(np.float64)
        samples = ((exact - exact.mean()) / np.sqrt(exact.var() + LEAST_VARIANCE)).astype(np.float32)
    return samples[:, None]


class WaveformKind(Kind):
    """The samples themselves: a frame is one of them."""

    name, title, by_sample = "waveform", "samples", True
    in_torch = "secateur.features.waveform_torch:Waveform"
    usual: ClassVar[Mapping[str, Any]] = {"window": 1, "hop": 1, "bins": 1}
    uses = frozenset({"normalise"})

    def problems(self, f: FrontEnd) -> list[str]:
        """See `Kind.problems`."""
        plain = (f.window, f.hop, f.bins) == (1, 1, 1)
        return [] if plain else ["a waveform has one input, one sample wide, and nothing else"]

    def frames(self, f: FrontEnd, samples: int) -> int:
        """As many as samples."""
        return samples

    def extract(self, samples: NDArray[np.float32], f: FrontEnd) -> NDArray[np.float32]:
        """See `samples_as_features`."""
        return samples_as_features(samples, f.normalise == "mean_variance")

    def reads_below(self, f: FrontEnd, bins: set[int]) -> tuple[int, ...]:
        """See `Kind.reads_below`."""
        raise SecateurError("sample_rate: a network that takes the samples themselves has no filters to cut")


KIND = WaveformKind()
