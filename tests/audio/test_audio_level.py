"""Levels in dBFS, clipping and silence."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from speech_clips import clips

from secateur.audio.arrays import clipped_share, is_silent, peak_db, resample, rms_db

SINE = np.sin(2 * np.pi * 440 * np.arange(16000) / 16000).astype(np.float32)


def test_a_sine() -> None:
    assert abs(peak_db(SINE)) < 0.01
    assert abs(rms_db(SINE) + 3.0103) < 0.001  # 1 / sqrt(2)
    assert abs(rms_db(SINE / 10) + 23.0103) < 0.001


def test_silence_and_nothing() -> None:
    assert rms_db(np.zeros(100, np.float32)) == peak_db(np.zeros(0, np.float32)) == -math.inf
    assert is_silent(np.zeros(0, np.float32)) and clipped_share(np.zeros(0, np.float32)) == 0.0
    assert is_silent(SINE * 1e-4) and not is_silent(SINE * 0.1)
    long = np.zeros(20 * 16000, np.float32)
    long[5000:13000] = SINE[:8000] * 0.01  # half a second at -43 dBFS in 20 s: a word, not silence
    assert not is_silent(long)


def test_real_speech_is_neither_silent_nor_clipped(speech: Path) -> None:
    for audio, _ in clips(speech, "librispeech-mini", 4):
        assert not is_silent(audio)
        assert -45 < rms_db(audio) < -10 and clipped_share(audio) < 1e-3
        assert clipped_share(np.clip(audio * 20, -1, 1)) > 0.01


def test_resampling_keeps_a_tone() -> None:
    tone = resample(SINE, 16000, 48000)
    expected = np.sin(2 * np.pi * 440 * np.arange(48000) / 48000)
    assert len(tone) == 48000 and np.abs(tone - expected)[1000:-1000].max() < 1e-4
    assert resample(SINE, 16000, 16000) is SINE
    assert len(resample(SINE[:0], 16000, 8000)) == 0
