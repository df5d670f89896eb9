"""numpy features against transformers' Whisper front-end, on real speech."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from speech_clips import clips

from secateur.features.filterbank import hz_to_mel, mel_filters, mel_to_hz
from secateur.features.front_end import FrontEnd
from secateur.features.whisper import RANGE, kept_filters, log_mel

SETS = ("librispeech-mini", "speechocean762", "commonvoice-zh-cn")


def reference(audio: np.ndarray, bins: int, padded: bool) -> np.ndarray:
    transformers = pytest.importorskip("transformers")
    extractor = transformers.WhisperFeatureExtractor(feature_size=bins)
    padding = "max_length" if padded else "do_not_pad"
    return extractor(audio, sampling_rate=16000, padding=padding, return_tensors="np").input_features[0].T


@pytest.mark.parametrize("bins", [80, 128])
@pytest.mark.parametrize("name", SETS)
def test_equals_transformers_on_real_speech(speech: Path, name: str, bins: int) -> None:
    for audio, _ in clips(speech, name, 2):
        audio = audio[:480_000]
        padded = log_mel(audio, FrontEnd(bins=bins), pad_to=480_000)
        assert padded.shape == (3000, bins) and padded.dtype == np.float32
        assert np.abs(padded - reference(audio, bins, padded=True)).max() < 1e-4
        # transformers keeps a frame for a last part of a hop; whole hops give the same frames.
        audio = audio[: len(audio) // 160 * 160]
        assert np.abs(log_mel(audio, FrontEnd(bins=bins)) - reference(audio, bins, padded=False)).max() < 1e-4


def test_padding_is_silence_before_the_transform(speech: Path) -> None:
    ((audio, _),) = clips(speech, "speechocean762", 1)
    by_hand = log_mel(np.pad(audio, (0, 480_000 - len(audio))), FrontEnd())
    assert np.array_equal(log_mel(audio, FrontEnd(), pad_to=480_000), by_hand)


def test_only_kept_bins_are_computed(speech: Path) -> None:
    ((audio, _),) = clips(speech, "librispeech-mini", 1)
    kept = (0, 70, 79, 3)  # the loudest bin is not among them: the maximum is of what is computed
    whole, pruned = log_mel(audio, FrontEnd()), log_mel(audio, FrontEnd(kept_bins=kept))
    floor = whole.max() - RANGE / 4
    assert pruned.max() < whole.max() and pruned.min() < floor
    above = whole[:, list(kept)] > floor
    assert np.abs(pruned - whole[:, list(kept)])[above].max() < 1e-5
    assert pruned[~above].max() < floor + 1e-5 and pruned.min() >= pruned.max() - RANGE / 4 - 1e-5
    first, filters = kept_filters(FrontEnd(kept_bins=(30, 31)))
    assert filters.shape[1] == 2 and len(filters) < 20 and first > 20  # of 201 lines


def test_blocks_do_not_show(speech: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ((audio, _),) = clips(speech, "librispeech-mini", 1)
    whole = log_mel(audio, FrontEnd())
    monkeypatch.setattr("secateur.features.whisper._BLOCK", 7)
    assert np.allclose(log_mel(audio, FrontEnd()), whole, atol=1e-6)


@pytest.mark.parametrize("samples", [0, 1, 159, 160, 161, 200, 201, 320, 400, 401])
def test_very_short_clips(speech: Path, samples: int) -> None:
    ((audio, _),) = clips(speech, "librispeech-mini", 1)
    mel = log_mel(audio[8000 : 8000 + samples], FrontEnd())
    assert mel.shape == (samples // 160, 80)
    assert np.isfinite(mel).all()
    if samples > 200:  # shorter ones cannot be reflected by the reference
        whole = audio[8000 : 8000 + samples // 160 * 160]
        if len(whole) > 200:
            assert np.abs(log_mel(whole, FrontEnd()) - reference(whole, 80, padded=False)).max() < 1e-4


def test_digital_silence_is_flat() -> None:
    assert np.all(log_mel(np.zeros(16000, np.float32), FrontEnd()) == -1.5)  # (log10(1e-10) + 4) / 4


def test_a_tone_lands_in_its_bin() -> None:
    for hz in (300.0, 1000.0, 3000.0):
        tone = np.sin(2 * np.pi * hz * np.arange(16000) / 16000).astype(np.float32)
        centres = mel_to_hz(np.linspace(0, hz_to_mel(np.array([8000.0]))[0], 82))[1:-1]
        # Filters are narrower than the window's main lobe at low frequencies: a neighbour may win.
        assert abs(int(log_mel(tone, FrontEnd())[50].argmax()) - int(np.abs(centres - hz).argmin())) <= 1


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="one channel"):
        log_mel(np.zeros((2, 16000), np.float32), FrontEnd())
    with pytest.raises(ValueError, match="does not fit"):
        log_mel(np.zeros(16000, np.float32), FrontEnd(), pad_to=8000)


def test_filters_have_unit_area_and_are_read_only() -> None:
    filters = mel_filters(16000, 4096, 40)  # fine enough that the sum is the integral
    assert np.allclose(filters.sum(0) * 16000 / 4096, 1.0, atol=0.02)
    with pytest.raises(ValueError, match="read-only"):
        filters[0, 0] = 1.0


def test_scale_and_its_inverse() -> None:
    hz = np.linspace(0, 12000, 1001)
    assert np.allclose(mel_to_hz(hz_to_mel(hz)), hz)
    assert np.all(np.diff(hz_to_mel(hz)) > 0)
