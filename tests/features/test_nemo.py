"""Parakeet's features: what `transformers` computes, on real speech, alone and in a padded batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from speech_clips import clips

from secateur.base.errors import SecateurError
from secateur.features.front_end import extract, front_end
from secateur.features.rates import resampled

pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


@pytest.mark.parametrize("bins", [80, 128])
def test_it_is_what_transformers_computes(speech: Path, bins: int) -> None:
    theirs = transformers.ParakeetFeatureExtractor(feature_size=bins)
    some = [audio for name in ("librispeech-mini", "speechocean762") for audio, _ in clips(speech, name, 2)]
    found = theirs(some, sampling_rate=16000)
    for i, audio in enumerate(some):
        ours = extract(audio, front_end("nemo", bins=bins))
        assert ours.shape == (int(found["attention_mask"][i].sum()), bins)
        # Theirs is computed in 32 bits throughout: silence is where it shows.
        assert np.abs(ours - np.asarray(found["input_features"][i])[: len(ours)]).max() < 2e-3
        assert np.abs(ours - np.asarray(found["input_features"][i])[: len(ours)]).mean() < 1e-5


def test_what_it_cannot_have_is_one_line() -> None:
    with pytest.raises(SecateurError, match="deltas has no part in NeMo's features"):
        front_end("nemo", deltas=1)
    with pytest.raises(SecateurError, match="as a picture and cannot lose any"):
        resampled(front_end("nemo"), 8000)
