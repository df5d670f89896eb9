"""The feature extractor of a pruned Whisper, whose bins, sample rate, frame shift or window may differ."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import WhisperFeatureExtractor

from ...base.options import from_dict
from ...features.front_end import FrontEnd
from ...features.whisper import log_mel


class PrunedWhisperFeatureExtractor(WhisperFeatureExtractor):
    """WhisperFeatureExtractor with our `front_end`, and windows of `n_samples`."""

    def __init__(self, front_end: dict[str, Any] | None = None, n_samples: int = 480000, **options: Any) -> None:
        for name in ("nb_max_frames", "mel_filters"):
            options.pop(name, None)
        super().__init__(**options)
        self.front_end, self.n_samples = front_end or {}, n_samples
        self.nb_max_frames = n_samples // self.hop_length

    def _torch_extract_fbank_features(self, waveform: NDArray[np.floating], device: str = "cpu") -> Any:
        return self._np_extract_fbank_features(waveform, device)

    def _np_extract_fbank_features(self, waveform_batch: NDArray[np.floating], device: str = "cpu") -> Any:
        """(batch, samples) to (batch, bins, frames)."""
        front_end = from_dict(FrontEnd, self.front_end, "preprocessor_config.json: front_end")
        return np.stack([log_mel(row, front_end).T for row in waveform_batch])
