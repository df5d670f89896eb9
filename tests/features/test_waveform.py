"""Samples as features: numpy, torch and `transformers` agree, padding is never heard."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from secateur.base.errors import SecateurError  # noqa: E402
from secateur.features.front_end import extract, extractor, front_end  # noqa: E402
from secateur.features.rates import resampled, spaced  # noqa: E402
from secateur.features.specaugment import SpecAugmentOptions, fitted, spec_augment  # noqa: E402

HEARS = front_end("waveform", normalise="mean_variance")


def clip(samples: int, loud: float) -> np.ndarray:
    """Noise around an offset, so that there is a mean to take away."""
    return (loud * (np.random.default_rng(samples).standard_normal(samples) + 0.3)).astype(np.float32)


@pytest.mark.parametrize("normalise", ["none", "mean_variance"])
def test_rows_of_a_batch_equal_single_clips(normalise: str) -> None:
    hears = front_end("waveform", normalise=normalise)
    clips = [clip(5000, 0.2), clip(1234, 0.001)]
    audio = torch.full((2, 5000), 9.0)  # what stands in the padding must not matter
    for row, one in zip(audio, clips, strict=True):
        row[: len(one)] = torch.from_numpy(one)
    features, frames = extractor(hears)(audio, torch.tensor([5000, 1234]))
    assert features.shape == (2, 5000, 1) and frames.tolist() == [hears.frames(5000), hears.frames(1234)]
    for row, one in zip(features.numpy(), clips, strict=True):
        assert np.allclose(row[: len(one)], extract(one, hears), atol=1e-5)
        assert not row[len(one) :].any()


def test_it_is_what_transformers_computes() -> None:
    theirs = pytest.importorskip("transformers").Wav2Vec2FeatureExtractor(do_normalize=True)
    for loud in (0.3, 1e-4):  # the last is so quiet that what is added to the variance counts
        samples = clip(3000, loud)
        wanted = theirs(samples, sampling_rate=16000, return_tensors="np").input_values[0]
        assert np.allclose(extract(samples, HEARS)[:, 0], wanted, atol=1e-4)


def test_masks_hide_time_and_nothing_else() -> None:
    options = fitted(SpecAugmentOptions(), HEARS)
    assert (options.frequency_masks, options.time_width) == (0, 3200)  # 200 ms of samples
    samples = torch.randn(1, 16000, 1)
    hidden = spec_augment(samples, torch.tensor([16000]), options, torch.Generator().manual_seed(0)) != samples
    assert 100 < int(hidden.sum()) <= 2 * 3200


def test_rates_cannot_be_cut() -> None:
    with pytest.raises(SecateurError, match="no filters to cut"):
        resampled(HEARS, 8000)
    with pytest.raises(SecateurError, match="frame_shift_ms"):
        spaced(HEARS, 20.0)
    with pytest.raises(SecateurError, match="a waveform has one input"):
        front_end("waveform", bins=80)
