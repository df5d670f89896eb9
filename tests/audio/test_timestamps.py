"""Sound that begins late or stops for a while is where a player plays it: subtitles are read beside the picture."""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from speech_clips import clips

from secateur.audio.read import read_audio

av = pytest.importorskip("av")

from recording_kinds import KINDS, at_rate, encode, shift  # noqa: E402
from test_recordings import video  # noqa: E402

RATE = 16000
NAMES = ["aac.mp4", "opus.webm", "aac.mkv", "a.flv", "a.ts", "fragments.mp4"]


@pytest.fixture(scope="module")
def clip(speech: Path) -> np.ndarray:
    ((audio, _),) = clips(speech, "speechocean762", 1)
    return audio[: 2 * RATE]


def lag(audio: np.ndarray, clip: np.ndarray) -> float:
    """Seconds by which `audio` begins after `clip`."""
    return shift(audio, clip)[0] / RATE


@pytest.mark.parametrize("name", ["aac.mp4", "aac.mkv", "a.ts"])
def test_sound_that_begins_after_the_picture(clip: np.ndarray, name: str) -> None:
    made = KINDS[name]
    for late in (1.5, 0.0):
        file = encode(at_rate(clip, made.rate), made, more=video(40), when=lambda seconds, late=late: seconds + late)
        audio = read_audio(io.BytesIO(file), RATE)
        assert lag(audio, clip) == pytest.approx(late, abs=0.08)
        assert len(audio) / RATE == pytest.approx(2.0 + late, abs=0.1)


@pytest.mark.parametrize("name", NAMES)
def test_sound_that_stops_for_a_while(clip: np.ndarray, said: list[str], name: str) -> None:
    made = KINDS[name]
    file = encode(at_rate(clip, made.rate), made, when=lambda seconds: seconds + 3.0 * (seconds > 1.0))
    audio = read_audio(io.BytesIO(file), RATE)
    assert len(audio) / RATE == pytest.approx(5.0, abs=0.1)
    first, second = audio[: int(0.9 * RATE)], audio[int(4.2 * RATE) :]
    assert lag(first, clip[: len(first)]) == pytest.approx(0.0, abs=0.08)
    assert lag(second, clip[int(1.2 * RATE) :]) == pytest.approx(0.0, abs=0.08)
    assert np.abs(audio[int(1.3 * RATE) : int(3.7 * RATE)]).max() == 0.0
    assert any("are read as silence" in line for line in said) and not any("cut off" in line for line in said)


def test_a_clock_that_is_set_anew_is_no_gap(clip: np.ndarray) -> None:
    made = KINDS["a.ts"]
    piece = encode(at_rate(clip, made.rate), made)
    for text in (piece + piece, encode(at_rate(clip, made.rate), made, when=lambda s: s + 7200.0)):
        assert len(read_audio(io.BytesIO(text), RATE)) / RATE == pytest.approx(2.0 * (text.count(piece) or 1), abs=0.2)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg program")
@pytest.mark.parametrize("name", ["aac.mp4", "aac.mkv"])
def test_the_ffmpeg_program_fills_the_same(
    clip: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    made = KINDS[name]
    file = encode(
        at_rate(clip, made.rate), made, more=video(60), when=lambda seconds: seconds + 1.0 + 2.0 * (seconds > 1.0)
    )
    here = read_audio(io.BytesIO(file), RATE)
    monkeypatch.setitem(sys.modules, "av", None)
    there = read_audio(io.BytesIO(file), RATE)
    assert abs(len(here) - len(there)) < 0.1 * RATE
    for begin, end in ((0.0, 2.1), (2.5, 5.0)):
        one, other = (audio[int(begin * RATE) : int(end * RATE)] for audio in (here, there))
        assert abs(lag(one, other)) < 0.08 and shift(one, other)[1] > 0.9
