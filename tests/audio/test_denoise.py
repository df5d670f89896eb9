"""Denoising real speech in real noise: how many dB are gained, and that clean speech is left alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from speech_clips import clips

from secateur.audio.arrays import resample
from secateur.audio.denoise import Gtcrn, denoise, istft, spectral_gate, stft
from secateur.audio.read import read_audio
from secateur.base.errors import SecateurError


def snr_db(speech: np.ndarray, heard: np.ndarray) -> float:
    """Speech power over the power of everything else."""
    return float(10 * np.log10(np.sum(speech**2) / np.sum((heard - speech) ** 2)))


def mixed(speech: np.ndarray, noise: np.ndarray, ratio_db: float) -> np.ndarray:
    noise = np.resize(noise, len(speech))
    return speech + noise * np.sqrt(np.sum(speech**2) / np.sum(noise**2) / 10 ** (ratio_db / 10))


@pytest.fixture(scope="module")
def voices(speech: Path) -> list[np.ndarray]:
    sets = ("librispeech-mini", "speechocean762")
    return [audio[: 5 * 16000] for name in sets for audio, _ in clips(speech, name, 2)]


@pytest.fixture(scope="module")
def model(speech: Path) -> Path:
    path = speech.parent / "weights" / "gtcrn_simple.onnx"
    if not path.is_file():
        pytest.skip("no GTCRN model: put gtcrn_simple.onnx in a folder `weights` beside the speech")
    return path


@pytest.mark.parametrize(("noise", "gained"), [("running_tap", 4.0), ("white_noise", 4.0), ("kitchen", 1.0)])
def test_spectral_gate_gains_signal_to_noise_ratio(
    speech: Path, voices: list[np.ndarray], noise: str, gained: float
) -> None:
    recorded = read_audio(speech / "noise" / f"{noise}.opus")[16000:]
    gains = []
    for voice in voices:
        noisy = mixed(voice, recorded, 5.0)
        gains.append(snr_db(voice, denoise(noisy)) - snr_db(voice, noisy))
    assert min(gains) > 0 and np.mean(gains) > gained


@pytest.mark.parametrize("noise", ["running_tap", "kitchen", "dude_miaowing"])
def test_gtcrn_gains_signal_to_noise_ratio(speech: Path, voices: list[np.ndarray], model: Path, noise: str) -> None:
    recorded = read_audio(speech / "noise" / f"{noise}.opus")[16000:]
    network = Gtcrn(model)
    noisy = [mixed(voice, recorded, 5.0) for voice in voices]
    gains = [snr_db(v, network(n)) - snr_db(v, n) for v, n in zip(voices, noisy, strict=True)]
    assert min(gains) > 1 and np.mean(gains) > 4
    # A clip does not depend on those before it.
    assert np.array_equal(network(noisy[0]), denoise(noisy[0], 16000, model))


def test_clean_speech_is_left_alone(voices: list[np.ndarray], model: Path) -> None:
    for method in ("spectral", model):
        assert snr_db(voices[0], denoise(voices[0], 16000, method)) > 15


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_rate_length_and_gain_at_other_rates(speech: Path, voices: list[np.ndarray], model: Path, rate: int) -> None:
    recorded = resample(read_audio(speech / "noise" / "running_tap.opus")[16000:], 16000, rate)
    voice = resample(voices[0], 16000, rate)[:-7]
    noisy = mixed(voice, recorded, 5.0)
    for method in ("spectral", model):
        clean = denoise(noisy, rate, method)
        assert clean.shape == noisy.shape and clean.dtype == np.float32
        assert snr_db(voice, clean) > 7


def test_the_floor_is_what_remains_of_noise() -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(32000).astype(np.float32)
    for floor in (-6.0, -12.0, -20.0):
        left = 10 * np.log10(np.mean(spectral_gate(noise, 16000, floor)[2000:-2000] ** 2) / np.mean(noise**2))
        assert floor - 0.1 < left < floor + 2.5


def test_silence_padding_and_very_short_clips(voices: list[np.ndarray], model: Path) -> None:
    for method in ("spectral", model):
        assert np.all(denoise(np.zeros(4000, np.float32), 16000, method) == 0)
        for samples in (0, 1, 100, 511):
            short = denoise(voices[0][8000 : 8000 + samples], 16000, method)
            assert len(short) == samples and np.isfinite(short).all()
    # Digital silence after a clip is no sample of its noise: the gate still works.
    noisy = mixed(voices[0], np.random.default_rng(0).standard_normal(80000).astype(np.float32), 5.0)
    padded = denoise(np.pad(noisy, (0, len(noisy))))[: len(noisy)]
    assert snr_db(voices[0], padded) > 8


def test_unknown_methods_are_named(tmp_path: Path) -> None:
    with pytest.raises(SecateurError, match="neither the method 'spectral' nor the file"):
        denoise(np.zeros(100, np.float32), 16000, "spectrl")
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(SecateurError, match="cannot be loaded as an ONNX model"):
        denoise(np.zeros(100, np.float32), 16000, tmp_path / "model.onnx")


def test_another_model_is_refused(speech: Path) -> None:
    path = speech.parent / "weights" / "silero_vad_16k.onnx"
    if not path.is_file():
        pytest.skip("no other ONNX model at hand")
    with pytest.raises(SecateurError, match="not a streaming GTCRN model"):
        Gtcrn(path)


@pytest.mark.parametrize(("size", "hop"), [(512, 128), (512, 256), (256, 64)])
def test_stft_and_back(voices: list[np.ndarray], size: int, hop: int) -> None:
    window = np.sqrt(np.hanning(size + 1)[:-1]).astype(np.float32)
    for samples in (1, 511, 512, 16001):
        audio = voices[0][:samples]
        assert np.allclose(istft(stft(audio, window, hop), window, hop, samples), audio, atol=1e-6)
