"""Which channel is read, and that opposite phase does not make silence of speech."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from speech_clips import clips

from secateur.audio.read import read_audio, read_channels
from secateur.base.errors import SecateurError


@pytest.fixture(scope="module")
def voices(speech: Path) -> tuple[np.ndarray, np.ndarray]:
    """Two speakers, equally long."""
    (a, _), (b, _) = clips(speech, "speechocean762", 2)
    count = min(len(a), len(b), 3 * 16000)
    return a[:count] / np.abs(a).max() * 0.4, b[:count] / np.abs(b).max() * 0.4


def stereo(*channels: np.ndarray, rate: int = 16000) -> io.BytesIO:
    file = io.BytesIO()
    soundfile.write(file, np.stack(channels, axis=1), rate, format="WAV", subtype="FLOAT")
    return file


def near(a: np.ndarray, b: np.ndarray) -> bool:
    return len(a) == len(b) and bool(np.allclose(a, b, atol=1e-6))


def test_sides(voices: tuple[np.ndarray, np.ndarray]) -> None:
    left, right = voices
    file = stereo(left, right)
    assert near(read_audio(file, channel="left"), left) and near(read_audio(file, channel="right"), right)
    assert near(read_audio(file, channel="mix"), (left + right) / 2) and near(read_audio(file, channel=1), right)
    assert near(read_audio(file, channel="right", start=0.5, seconds=1.0), right[8000:24000])
    both = read_channels(file, start=1.0, seconds=0.5)
    assert both.shape == (2, 8000) and near(both[0], left[16000:24000]) and near(both[1], right[16000:24000])


@pytest.mark.parametrize("channel", ["left", "right", 1, 5])
def test_a_channel_that_is_not_there(voices: tuple[np.ndarray, np.ndarray], channel: object) -> None:
    file = io.BytesIO()
    soundfile.write(file, voices[0], 16000, format="FLAC")
    with pytest.raises(SecateurError, match=r"one channel only|no channel number \d"):
        read_audio(file, channel=channel)  # type: ignore[arg-type]
    assert near(read_audio(file, channel=0), read_audio(file))


def test_a_speaker_a_side_is_mixed(voices: tuple[np.ndarray, np.ndarray], said: list[str]) -> None:
    left, right = voices
    pause = np.zeros(16000, np.float32)
    for a, b in ((left, right), (np.r_[left, pause], np.r_[pause[: len(left)], right[:16000]]), (left, 0 * left)):
        count = min(len(a), len(b))
        assert near(read_audio(stereo(a[:count], b[:count])), (a[:count] + b[:count]) / 2)
    assert not said


def opposite(voices: tuple[np.ndarray, np.ndarray]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Left, and a right that cancels it when mixed: by how, the two."""
    left, other = voices
    noise = np.random.default_rng(0).normal(0, 0.003, (2, len(left))).astype(np.float32)
    half = len(left) // 2
    return {
        "wholly": (left, -left),
        "with noise": (left + noise[0], noise[1] - left),
        "louder on the left": (left, -0.6 * left),
        "a sample late": (left, -np.r_[np.float32(0), left[:-1]]),
        "in the second half": (left, np.r_[left[:half], -left[half:]]),
        "two voices": (left + other, -left - other),
    }


@pytest.mark.parametrize("how", list(opposite((np.zeros(9, np.float32), np.zeros(9, np.float32)))))
def test_opposite_phase(voices: tuple[np.ndarray, np.ndarray], said: list[str], how: str) -> None:
    left, right = opposite(voices)[how]
    file = stereo(left, right)
    file.name = "a.wav"  # type: ignore[attr-defined]
    assert near(read_audio(file), left)
    assert near(read_audio(file), left)
    assert len(said) == 1 and "opposite phase" in said[0] and "number 1" in said[0]
    assert near(read_audio(file, channel="mix"), (left + right) / 2)
    assert near(read_audio(stereo(right, left * 1.2)), left * 1.2)  # the louder one


def test_opposite_phase_at_another_rate(voices: tuple[np.ndarray, np.ndarray], said: list[str]) -> None:
    left, _ = voices
    mono = io.BytesIO()
    soundfile.write(mono, left, 44100, format="WAV", subtype="FLOAT")
    assert np.allclose(read_audio(stereo(left, -left, rate=44100)), read_audio(mono), atol=1e-6)
