"""Arrays as other libraries give them: scaled, mixed and resampled to the same words, or refused in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soxr
from speech_clips import clips

import secateur
from secateur.audio.arrays import as_samples
from secateur.base.errors import SecateurError
from secateur.runtime.recogniser import Recogniser


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    return secateur.load(threads=1)


@pytest.fixture(scope="module")
def clip(speech: Path, recogniser: Recogniser) -> tuple[np.ndarray, str]:
    samples, _ = clips(speech, "librispeech-mini", 40)[16]  # no names, whose spelling a bit decides
    samples = np.pad(samples, (0, 16000))
    samples = samples[: 5 * 16000]
    return samples, recogniser.transcribe(samples).text


FORMS = {
    "float64": lambda x: x.astype(np.float64),
    "float16": lambda x: x.astype(np.float16),
    "int16": lambda x: np.round(x * 32767).astype(np.int16),
    "big-endian int16": lambda x: np.round(x * 32767).astype(">i2"),
    "int32": lambda x: np.round(x * (2**31 - 1)).astype(np.int32),
    "a column": lambda x: x[:, None],
    "a row": lambda x: x[None],
    "stereo, channels last": lambda x: np.stack([x, x], 1),
    "stereo, channels first": lambda x: np.stack([x, x]),
    "one side silent": lambda x: np.stack([2 * x, 0 * x]),
    "opposite phase": lambda x: np.stack([x, -x], 1),
    "int16 stereo": lambda x: np.stack([np.round(x * 32767).astype(np.int16)] * 2, 1),
    "a list": lambda x: x.tolist(),
    "not contiguous": lambda x: np.stack([x, x], 1)[:, 0],
}


@pytest.mark.parametrize("form", FORMS)
def test_the_same_words_whatever_the_form(form: str, recogniser: Recogniser, clip: tuple[np.ndarray, str]) -> None:
    samples, text = clip
    assert recogniser.transcribe(FORMS[form](samples)).text == text


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000.0, np.int64(24000)])
def test_other_rates_are_resampled(rate: Any, recogniser: Recogniser, clip: tuple[np.ndarray, str]) -> None:
    samples, text = clip
    other = soxr.resample(samples, 16000, float(rate))
    found = recogniser.transcribe((other * 32767).clip(-32768, 32767).astype(np.int16), sample_rate=rate)
    assert found.duration == pytest.approx(5, abs=0.01)
    same = set(found.text.split()) & set(text.split())
    assert len(same) >= (0.5 if rate == 8000 else 0.8) * len(set(text.split()))


def test_bytes_are_centred_and_full_scale_is_one() -> None:
    assert as_samples(np.array([0, 128, 255], np.uint8), 16000).tolist() == [-1, 0, 127 / 128]
    assert as_samples(np.array([-128, 64], np.int8), 16000).tolist() == [-1, 0.5]
    assert as_samples(np.array([-32768, 16384], np.int16), 16000).tolist() == [-1, 0.5]
    assert as_samples(np.array([-(2**31), 2**30], np.int32), 16000).tolist() == [-1, 0.5]
    assert as_samples(np.zeros(0), 16000, 8000).shape == (0,)


def test_options_by_their_names(recogniser: Recogniser, clip: tuple[np.ndarray, str]) -> None:
    samples, text = clip
    found = recogniser.transcribe(samples, language="en", words=["Ronicky"], word_times=True)
    assert [word.text for word in found.words] == text.split()
    assert not recogniser.transcribe(samples, words="one name").words
    with pytest.raises(SecateurError, match="klingon"):
        recogniser.transcribe(samples, language="klingon")


@pytest.mark.parametrize(
    ("values", "rate", "message"),
    [
        (np.full(100, np.nan), None, "NaN"),
        (np.array([0.0, np.inf]), None, "NaN"),
        (np.zeros((3, 400, 2)), None, r"shape \(3, 400, 2\)"),
        (np.zeros((400, 400)), None, "shape"),
        (np.zeros((0, 2)), None, "shape"),
        (np.float32(0.5), None, "shape"),
        (np.zeros(100, np.int64), None, "int64"),
        (np.zeros(100, np.uint16), None, "uint16"),
        (np.zeros(100, bool), None, "bool"),
        (np.zeros(100, complex), None, "complex"),
        ([[0.1, 0.2], [0.3]], None, "array of numbers"),
        (b"RIFF", None, "bytes"),
        (None, None, "shape|object"),
        (np.array([12000.0, -20000.0]), None, "divide"),
        (np.zeros(100), 0, "sample_rate"),
        (np.zeros(100), -16000, "sample_rate"),
        (np.zeros(100), float("nan"), "sample_rate"),
        (np.zeros(100), "16k", "sample_rate"),
        (np.zeros(100), True, "sample_rate"),
        ("clip.wav", 16000, "rate of its own"),
    ],
)
def test_what_is_no_sound_is_refused_in_one_line(values: Any, rate: Any, message: str, recogniser: Recogniser) -> None:
    with pytest.raises(SecateurError, match=message) as found:
        recogniser.transcribe(values, sample_rate=rate)
    assert "\n" not in str(found.value)
