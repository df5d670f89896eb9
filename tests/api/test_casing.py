"""What is said of upper-case texts, and of sets that are written in different ways, before anything trains."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")
from small_models import small_whisper

from secateur.api.contradictions import notes_on_casing
from secateur.cli import main
from secateur.data.manifest import read_manifest, write_manifest
from secateur.models.checkpoint import save_checkpoint

UPPER = ["TURN ON THE LIGHT IN THE KITCHEN", "WHAT IS THE TIME"]
LOWER = ["turn on the light in the kitchen", "what is the time"]
MIXED = ["Turn on the light in the kitchen.", "What is the time?"]
CHINESE = ["打开厨房的灯"]


def test_what_a_model_learns_of_casing() -> None:
    [note] = notes_on_casing({"train": UPPER, "dev": UPPER}, False, False)
    assert "upper case only, without punctuation, and the model will learn to write so" in note
    assert "--training.style sentence" in note and "--lower" in note
    [note] = notes_on_casing({"train": LOWER}, False, False)
    assert "lower case only, without punctuation" in note and "--lower" not in note
    assert notes_on_casing({"train": [*UPPER, "YES!"]}, False, False)[0].startswith(
        "the texts to train on are in upper"
    )
    for train in (MIXED, CHINESE, [], ["yes", "no"]):
        assert notes_on_casing({"train": train, "dev": train, "test": []}, False, True) == []
    assert notes_on_casing({"train": UPPER, "dev": UPPER}, True, False) == []


def test_sets_that_are_written_in_different_ways() -> None:
    for counted, effect in ((False, "leave case out and do not show it"), (True, "count that as errors")):
        first, second = notes_on_casing({"train": UPPER, "dev": LOWER, "test": LOWER}, False, counted)
        assert "will learn to write so" in first
        assert "train on are in upper case only, those of dev, test in lower case only" in second and effect in second
    sentences = {"train": LOWER, "dev": LOWER}
    assert notes_on_casing(sentences, True, False) == []
    [note] = notes_on_casing(sentences, True, True)
    assert "count that as errors" in note
    [note] = notes_on_casing({"train": MIXED, "rehearsal": UPPER, "dev": MIXED}, False, False)
    assert "those of rehearsal in upper case only" in note


@pytest.mark.parametrize("job", ["adapt", "train"])
def test_a_check_says_it(job: str, speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clips = [u for u in read_manifest(speech / "free-spoken-digits" / "train.jsonl") if 0.3 < u.duration < 0.9]
    speakers = sorted({u.speaker for u in clips})
    for name, who, change in (("train", 0, str.upper), ("dev", 1, str.lower), ("test", 2, str.lower)):
        chosen = [u for u in clips if u.speaker == speakers[who] and (u.text > "one") == (name == "test")][:12]
        write_manifest(tmp_path / f"{name}.jsonl", [replace(u, text=change(u.text)) for u in chosen])
    save_checkpoint(tmp_path / "model", *small_whisper())
    words = [w for name in ("train", "dev", "test") for w in (f"--{name}", str(tmp_path / f"{name}.jsonl"))]
    words += ["--model", str(tmp_path / "model"), "--out", str(tmp_path / "run"), "--device", "cpu", "--check"]
    assert main([job, *words]) == 0
    notes = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note: the texts")]
    assert len(notes) == 2 and "will learn to write so" in notes[0] and "those of dev, test in lower" in notes[1]
