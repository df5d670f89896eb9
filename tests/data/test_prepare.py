"""Preparing real files: measured, cleaned, converted, resumed; what cannot be used is named."""

from __future__ import annotations

import os
from pathlib import Path

import layout_trees as trees
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from secateur.audio.read import audio_info, read_audio
from secateur.base.errors import SecateurError
from secateur.cli import main
from secateur.data.manifest import read_manifest
from secateur.data.prepare import PrepareSettings, file_name, prepare
from secateur.data.recording import Recording
from secateur.text.clean import CleanRules, Rule


@pytest.fixture
def recordings(tmp_path: Path) -> list[Recording]:
    files = [trees.sound(tmp_path / "in" / f"{i}.wav", 0.5 + i / 10, 22050) for i in range(4)]
    return [Recording(f"a/{i}", f, f"Text [noise]  {i}", f"s{i}", extras={"room": i}) for i, f in enumerate(files)]


def test_files_that_are_kept(recordings: list[Recording], tmp_path: Path) -> None:
    done = prepare(recordings, tmp_path / "set" / "all.jsonl", PrepareSettings(language="de"))
    assert read_manifest(tmp_path / "set" / "all.jsonl") == done.utterances
    two = done.utterances[2]
    assert (two.text, two.speaker, two.language, two.extras) == ("Text 2", "s2", "de", {"room": 2})
    assert two.duration == pytest.approx(0.7)
    assert two.audio == recordings[2].audio
    assert [p.name for p in (tmp_path / "set").iterdir()] == ["all.jsonl"]


@pytest.mark.parametrize(("kind", "noise_db"), [("flac", -70), ("wav", -70), ("ogg", -3)])
def test_conversion(recordings: list[Recording], tmp_path: Path, kind: str, noise_db: float) -> None:
    settings = PrepareSettings(kind, 16000, rules=None)
    done = prepare(recordings, tmp_path / "all.jsonl", settings)
    for recording, utterance in zip(recordings, done.utterances, strict=True):
        assert utterance.text == recording.text
        assert utterance.audio.parent == tmp_path / "all"
        assert utterance.audio.suffix == f".{kind}"
        assert audio_info(utterance.audio).sample_rate == 16000
        original, written = read_audio(recording.audio), read_audio(utterance.audio)
        assert len(written) == pytest.approx(len(original), abs=2)
        length = min(len(written), len(original))
        error = np.mean(np.square(written[:length] - original[:length])) / np.mean(np.square(original))
        assert 10 * np.log10(error) < noise_db
        assert utterance.duration == pytest.approx(recording_seconds(recording), abs=0.01)


def recording_seconds(recording: Recording) -> float:
    return float(soundfile.info(recording.audio).duration)


def test_an_interrupted_run_goes_on_and_other_settings_are_refused(recordings: list[Recording], tmp_path: Path) -> None:
    settings = PrepareSettings("flac", 8000)
    first = prepare(recordings, tmp_path / "all.jsonl", settings)
    kept, gone = first.utterances[0].audio, first.utterances[1].audio
    os.utime(kept, (1, 1))
    gone.unlink()
    assert prepare(recordings, tmp_path / "all.jsonl", settings) == first
    assert kept.stat().st_mtime == 1
    assert gone.exists()
    with pytest.raises(SecateurError, match="holds files made with format flac, sample_rate 8000, denoise None"):
        prepare(recordings, tmp_path / "all.jsonl", PrepareSettings("flac", 16000))


def test_what_cannot_be_used_is_left_out(recordings: list[Recording], tmp_path: Path) -> None:
    bad = [
        Recording("gone", tmp_path / "gone.wav", "text"),
        Recording("broken", trees.text(tmp_path / "broken.wav", "no sound"), "text"),
        Recording("short", trees.sound(tmp_path / "short.wav", 0.05), "text"),
        Recording("empty", recordings[0].audio, " "),
        Recording("noise", recordings[0].audio, "[noise]"),
    ]
    done = prepare([*bad, *recordings], tmp_path / "all.jsonl")
    assert len(done.utterances) == 4
    reasons = dict(done.skipped)
    assert list(reasons) == ["gone", "broken", "short", "empty", "noise"]
    assert reasons["gone"].endswith("no such file")
    assert reasons["short"] == "0.05 s long"
    assert (reasons["empty"], reasons["noise"]) == ("no text", "no text left after cleaning")
    with pytest.raises(SecateurError, match=r"none of 5 recordings can be used; gone: .*no such file"):
        prepare(bad, tmp_path / "none.jsonl")
    assert not (tmp_path / "none.jsonl").exists()
    with pytest.raises(SecateurError, match="the id 'a/0' occurs twice"):
        prepare([*recordings, recordings[0]], tmp_path / "twice.jsonl")
    with pytest.raises(SecateurError, match="name a format"):
        prepare(recordings, tmp_path / "x.jsonl", PrepareSettings(sample_rate=8000))


def test_denoising_turns_down_steady_noise(tmp_path: Path) -> None:
    rate = 16000
    time = np.arange(2 * rate) / rate
    tone = 0.3 * np.sin(2 * np.pi * 500 * time) * (time > 1)
    (tmp_path / "in").mkdir()
    soundfile.write(tmp_path / "in" / "a.wav", tone + np.random.default_rng(0).normal(0, 0.02, len(time)), rate)
    recording = Recording("a", tmp_path / "in" / "a.wav", "tone")
    done = prepare([recording], tmp_path / "all.jsonl", PrepareSettings("wav", denoise="spectral"))
    before, after = read_audio(recording.audio), read_audio(done.utterances[0].audio)
    assert np.std(after[: rate - 1000]) < 0.3 * np.std(before[: rate - 1000])
    assert np.std(after[rate + 1000 :]) > 0.9 * np.std(tone[rate + 1000 :])
    with pytest.raises(SecateurError, match="neither the method 'spectral' nor the file"):
        prepare([recording], tmp_path / "other.jsonl", PrepareSettings("wav", denoise="spectrall"))


def test_own_rules(recordings: list[Recording], tmp_path: Path) -> None:
    rules = CleanRules(rule=(Rule("Text", "word"),))
    assert prepare(recordings, tmp_path / "a.jsonl", PrepareSettings(rules=rules)).utterances[0].text == "word 0"


@given(st.lists(st.text(min_size=1), unique=True, max_size=20))
def test_ids_have_names_of_their_own(ids: list[str]) -> None:
    ids = [i for i in ids if i.isprintable()]
    names = [file_name(i) for i in ids]
    assert len(set(names)) == len(ids)
    assert all("/" not in name and not name.startswith(".") and len(name) < 120 for name in names)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trees.librispeech(tmp_path / "raw", "dev-clean", 3)
    trees.text(tmp_path / "rules.toml", "[[rule]]\npattern = 'hello'\nreplace = 'good day'\n")
    words = ["data", "prepare", str(tmp_path / "raw"), "--out", str(tmp_path / "all.jsonl")]
    assert main([*words, "--format", "flac", "--sample-rate", "8000", "--rules", str(tmp_path / "rules.toml")]) == 0
    assert "6 utterances" in capsys.readouterr().out
    utterances = read_manifest(tmp_path / "all.jsonl")
    assert [u.text for u in utterances[:2]] == ["good day there", "it's dev-clean"]
    assert audio_info(utterances[0].audio).sample_rate == 8000
    trees.text(tmp_path / "rules.toml", "[[rule]]\npattern = '(('\n")
    assert main([*words, "--rules", str(tmp_path / "rules.toml")]) == 2
    assert "rule[0]: pattern '((' is no regular expression" in capsys.readouterr().err
