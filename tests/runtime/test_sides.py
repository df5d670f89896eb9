"""Calls with a speaker a side: each channel transcribed by itself, and which said what in every format."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from speech_clips import clips

from secateur.base.errors import SecateurError
from secateur.cli import main
from secateur.runtime.recogniser import Recogniser
from secateur.runtime.sides import joined, sides_of
from secateur.runtime.subtitles import WRITERS, SubtitleSettings


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    try:
        return Recogniser.load(threads=1)
    except SecateurError as problem:
        pytest.skip(str(problem))


@pytest.fixture(scope="module")
def call(speech: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One asks on the left, then one answers on the right."""
    (a, _), (b, _) = clips(speech, "librispeech-mini", 2)
    a, b = a[: 6 * 16000], b[: 6 * 16000]
    path = tmp_path_factory.mktemp("call") / "call.flac"
    left, right = np.r_[a, 0 * b], np.r_[0 * a, b]
    soundfile.write(path, np.stack([left, right], axis=1), 16000)
    return path


def test_each_side_has_its_own_words(recogniser: Recogniser, call: Path) -> None:
    sides = sides_of(call, 16000, "split")
    assert [name for name, _ in sides] == ["left", "right"]
    texts = [recogniser.transcribe(samples).text for _, samples in sides]
    for name, text in zip(("left", "right"), texts, strict=True):
        ((whole, samples),) = sides_of(call, 16000, name)  # type: ignore[arg-type]
        assert whole == "" and recogniser.transcribe(samples).text == text
    assert texts[0] != texts[1] and min(map(len, texts)) > 20
    both = joined([(name, recogniser.transcribe(samples)) for name, samples in sides])
    assert both.text == f"left: {texts[0]}\nright: {texts[1]}"
    assert {segment.channel for segment in both.segments} == {"left", "right"}
    assert [segment.start for segment in both.segments] == sorted(segment.start for segment in both.segments)
    assert both.duration == pytest.approx(12, abs=0.1)
    assert "\nleft: " in WRITERS["srt"](both, SubtitleSettings()) and "<v right>" in WRITERS["vtt"](
        both, SubtitleSettings()
    )
    assert {s["channel"] for s in json.loads(WRITERS["json"](both, SubtitleSettings()))["segments"]} == {
        "left",
        "right",
    }


def test_the_command(recogniser: Recogniser, call: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["transcribe", str(call), "--channel", "split"]) == 0
    lines = capsys.readouterr().out.strip().splitlines()
    assert [line.split(": ")[0] for line in lines] == ["left", "right"]
    assert main(["transcribe", str(call), "--channel", "right"]) == 0
    assert capsys.readouterr().out.strip() == lines[1].removeprefix("right: ")
    manifest = tmp_path / "calls.jsonl"
    manifest.write_text(json.dumps({"id": "c", "audio": str(call), "duration": 12.0, "text": ""}) + "\n")
    assert main(["transcribe", str(manifest), "--channel", "split", "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "c.txt").read_text().splitlines() == lines
    assert main(["transcribe", str(manifest), "--channel", "split", "--out", str(tmp_path / "out.jsonl")]) == 2
    assert "--channel split writes turns" in capsys.readouterr().err


def test_noise_that_hides_the_other_channel_is_said(
    recogniser: Recogniser, call: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    speech = soundfile.read(call)[0][: 6 * 16000, 0]
    noise = 0.25 * np.random.default_rng(0).standard_normal(len(speech))
    soundfile.write(tmp_path / "noisy.wav", np.stack([0.1 * speech, noise], 1).clip(-1, 1), 16000)
    soundfile.write(tmp_path / "quiet.wav", np.zeros(16000), 16000)
    assert main(["transcribe", str(tmp_path / "noisy.wav")]) == 0
    said = capsys.readouterr()
    assert not said.out.strip() and "no speech found; its channels were mixed: --channel split" in said.err
    assert main(["transcribe", str(tmp_path / "noisy.wav"), "--channel", "split"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("left: ") and len(said.out) > 30 and not said.err
    assert main(["transcribe", str(tmp_path / "quiet.wav")]) == 0
    assert "quiet.wav: no speech found\n" in capsys.readouterr().err
    soundfile.write(tmp_path / "faint.wav", (1e-6 * speech / abs(speech).max()).astype(np.float32), 16000, "FLOAT")
    assert main(["transcribe", str(tmp_path / "faint.wav")]) == 0
    assert "almost silent, its loudest sample at -120 dBFS" in capsys.readouterr().err


def test_one_channel_is_not_split(call: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    left = sides_of(call, 16000, "left")[0][1]
    soundfile.write(tmp_path / "mono.flac", left, 16000)
    soundfile.write(tmp_path / "twice.flac", np.stack([left, left], axis=1), 16000)
    for name in ("mono.flac", "twice.flac"):
        ((side, samples),) = sides_of(tmp_path / name, 16000, "split")
        assert side == "" and np.allclose(samples, left, atol=1e-4)
    assert "its channels are the same" in capsys.readouterr().err
    with pytest.raises(SecateurError, match="one channel only"):
        sides_of(tmp_path / "mono.flac", 16000, "right")
