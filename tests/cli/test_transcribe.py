"""`secateur transcribe` as a user runs it."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from speech_clips import clips, dev_weights

from secateur.cli import main

WORDS = "chapter twelve"  # the first clip begins so


@pytest.fixture(scope="module")
def model() -> str:
    pytest.importorskip("torch")
    folder = dev_weights("tiny.en")
    if folder is None:
        pytest.skip("no weights of tiny.en in the cache")
    return str(folder)


@pytest.fixture(scope="module")
def clip(speech: Path) -> np.ndarray:  # type: ignore[type-arg]
    return clips(speech, "librispeech-mini", 1)[0][0][: 4 * 16000]


def give_stdin(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))


def test_a_folder_with_a_bad_file(
    model: str,
    clip: np.ndarray,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],  # type: ignore[type-arg]
) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    soundfile.write(tmp_path / "in" / "a.wav", clip, 16000)
    soundfile.write(tmp_path / "in" / "deep" / "b.flac", clip, 16000)
    (tmp_path / "in" / "broken.wav").write_bytes(b"RIFF nothing")
    (tmp_path / "in" / "notes.txt").write_text("not audio")
    places = [str(tmp_path / "in"), "--out", str(tmp_path / "out")]
    code = main(["transcribe", *places, "--model", model, "--format", "srt"])
    out, err = capsys.readouterr()
    assert code == 2
    assert [line for line in err.splitlines() if "broken.wav" in line and line.startswith("secateur: ")]
    assert "Traceback" not in err
    assert out.split() == [str(tmp_path / "out" / "a.srt"), str(tmp_path / "out" / "deep" / "b.srt")]
    written = (tmp_path / "out" / "a.srt").read_text()
    assert written.startswith("1\n00:00:0")
    assert "12" in written or "twelve" in written.lower()
    assert (tmp_path / "out" / "deep" / "b.srt").read_text() == written


def test_standard_input_as_wav_and_as_raw_samples(
    model: str,
    clip: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],  # type: ignore[type-arg]
) -> None:
    stream = io.BytesIO()
    soundfile.write(stream, clip, 16000, format="WAV", subtype="PCM_16")
    give_stdin(monkeypatch, stream.getvalue())
    assert main(["transcribe", "-", "--model", model]) == 0
    wav = capsys.readouterr().out
    give_stdin(monkeypatch, (clip * 32767).astype("<i2").tobytes())
    assert main(["transcribe", "-", "--model", model, "--raw-rate", "16000"]) == 0
    raw = capsys.readouterr().out
    assert wav == raw
    assert wav.startswith("Chapter")
    give_stdin(monkeypatch, (clip * 32767).astype("<i2").tobytes())
    assert main(["transcribe", "-", "--model", model]) == 2
    assert "--raw-rate" in capsys.readouterr().err


def test_json_holds_the_segments(
    model: str,
    clip: np.ndarray,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],  # type: ignore[type-arg]
) -> None:
    soundfile.write(tmp_path / "a.wav", clip, 16000)
    assert main(["transcribe", str(tmp_path / "a.wav"), "--model", model, "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["segments"][0]["end"] == pytest.approx(4.0)
    assert found["segments"][0]["avg_logprob"] < 0
    assert found["text"].startswith("Chapter")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["transcribe"], "INPUTS"),
        (["transcribe", "x.wav", "--format", "doc"], "'doc' is not one of"),
        (["transcribe", "a.wav", "b.wav", "--format", "srt"], "--out"),
        (["transcribe", "a.wav", "a.flac", "--out", "o"], "both be written"),
        (["transcribe", "x.wav", "--model", "nowhere"], "no such model folder"),
        (["export", "tiny.en", "--out", "x", "--four-bits"], "--four-bits needs a value (TEXT,...): Store"),
        (["transcribe", "x.wav", "--model"], "--model needs a value"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    err = capsys.readouterr().err
    assert message in err
    assert len(err.splitlines()) == 1


def test_one_bad_file_alone_is_one_line(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.wav").write_bytes(b"no audio")
    assert main(["transcribe", str(tmp_path / "bad.wav"), "--model", model]) == 2
    err = capsys.readouterr().err
    assert "bad.wav" in err
    assert len(err.splitlines()) == 1


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The line with which a command line is refused."""
    assert main(["transcribe", *words]) == 2
    return capsys.readouterr().err


def test_options_without_effect_are_refused_or_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sound = tmp_path / "-call.wav"
    soundfile.write(sound, np.zeros(1600), 16000)
    assert "--raw-rate 8000 < FILE" in refusal(capsys, str(sound), "--raw-rate", "8000")
    both = (str(sound), str(tmp_path), "-", "--out", str(tmp_path / "all.srt"))
    assert "2 inputs cannot share the file" in refusal(capsys, *both)
    assert "leave one of them out" in refusal(capsys, str(sound), "--out", "talk.srt", "--format", "vtt")
    idle = refusal(capsys, str(sound), "--vad", "off", "--vad-threshold", "0.9")
    assert "--vad-threshold has no effect with --vad off" in idle
    for option in ("--model", "--out", "--language"):
        assert "empty: give a value" in refusal(capsys, str(sound), option, "")
    assert "did you mean 'srt'" in refusal(capsys, str(sound), "--format", "SRT")


def test_names_of_all_kinds_are_one_line_each(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("two\nlines.wav", "-dash.wav", "smile \N{GRINNING FACE}.wav"):
        soundfile.write(tmp_path / name, np.zeros(1600), 16000)
    (tmp_path / "empty.wav").touch()
    assert main(["transcribe", str(tmp_path), "--model", model]) == 2
    text, notes = capsys.readouterr()
    assert len(text.splitlines()) == 3 and "two lines.wav\t" in text
    assert "empty.wav: empty, there are no bytes in it" in notes
    assert main(["transcribe", str(tmp_path), "--model", model, "--out", str(tmp_path / "out")]) == 2
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert (tmp_path / "out" / "two\nlines.txt").exists() and (tmp_path / "out" / "-dash.txt").exists()


def test_one_transcript_into_the_file_that_is_named(
    clip: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    soundfile.write(tmp_path / "talk.wav", clip, 16000)
    out = tmp_path / "new" / "first.vtt"
    assert main(["transcribe", str(tmp_path / "talk.wav"), "--language", "auto", "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}\n"
    assert out.read_text().startswith("WEBVTT") and WORDS in out.read_text()
    words = [str(tmp_path / "talk.wav"), "--word-times", "--max-line-width", "20"]
    assert main(["transcribe", *words]) == 0
    text, notes = capsys.readouterr()
    assert WORDS in text
    assert "--max-line-width: of subtitles" in notes and "--word-times: txt has no times" in notes
