"""What is said of transcripts that are probably not what was meant: speakers mixed, passages decoded again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from secateur.audio.arrays import hold_different_speech
from secateur.audio.read import read_audio
from secateur.data.demo import BUNDLED
from secateur.data.manifest import read_manifest
from secateur.decode.options import DecodingOptions
from secateur.decode.segments import Segment, Transcript
from secateur.runtime.sides import Remarks

RATE = 16000
HEARD = Transcript("hello", "en", (Segment(0.0, 1.0, "hello", -0.2, 0.0, (1,)),), 1.0)


@pytest.fixture(scope="module")
def speakers() -> NDArray[np.float32]:
    """Two speakers at once (2, samples)."""
    clips = [read_audio(u.audio, RATE) for u in read_manifest(BUNDLED / "train.jsonl")]
    length = 5 * RATE
    return np.stack([np.concatenate(some)[:length] for some in (clips[:8], clips[-8:])])


def test_two_speakers_are_not_one_in_a_room(speakers: NDArray[np.float32]) -> None:
    random = np.random.default_rng(0)
    one, other = speakers
    assert hold_different_speech(speakers, RATE)
    assert hold_different_speech(np.stack([one, 0.1 * other]), RATE)
    leaking = np.stack([one + 0.05 * other, other + 0.05 * one])
    assert hold_different_speech(leaking, RATE)
    later = np.stack([one, np.roll(one, 40) * random.choice([-1, 1], len(one))])  # alike in its loudness alone
    noise = np.stack([one, random.normal(0, 0.05, len(one)).astype(np.float32)])
    for same in (np.stack([one, one]), np.stack([one, -one]), later, noise, np.stack([one, 0 * one]), one[None]):
        assert not hold_different_speech(same, RATE)


def test_a_call_is_hinted_at_once(
    tmp_path: Path, speakers: NDArray[np.float32], capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        soundfile.write(tmp_path / f"{name}.wav", speakers.T, RATE)
    soundfile.write(tmp_path / "mono.wav", speakers[0], RATE)
    for channel, hints in ((None, 1), ("mix", 0), ("left", 0)):
        remarks = Remarks(DecodingOptions(), channel)  # type: ignore[arg-type]
        for name in ("mono", "a", "b"):
            remarks.add(str(tmp_path / f"{name}.wav"), HEARD)
        remarks.end()
        printed = capsys.readouterr().err
        assert printed.count("--channel split transcribes each by itself") == hints
        assert ("a.wav: its two channels hold different speech" in printed) == bool(hints)


@pytest.mark.parametrize(("temperatures", "warned"), [((0.0, 0.2, 0.0), False), ((0.4, 1.0, 0.0), True)])
def test_a_model_that_is_lost_is_told_of(
    temperatures: tuple[float, ...], warned: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    remarks = Remarks(DecodingOptions(), "mix")
    segments = tuple(replace(HEARD.segments[0], temperature=t) for t in temperatures)
    remarks.add("x.wav", replace(HEARD, segments=segments))
    remarks.end()
    assert ("2 of 3 passages were decoded again" in capsys.readouterr().err) == warned
