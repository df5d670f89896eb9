"""The main job from end to end, small: real weights, real (or the bundled) speech, a few steps."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import forked_runs

from secateur.cli import main
from secateur.data.manifest import limit, read_manifest, write_manifest
from secateur.evaluate.result import read_result
from secateur.families.whisper.config import read_config
from secateur.families.whisper.cost import count_parameters
from secateur.models.checkpoint import save_checkpoint

BUNDLED = Path(__file__).resolve().parents[2] / "src" / "secateur" / "data" / "bundled"
SMALL = ["--training.steps", "3", "--training.batch-seconds", "6", "--training.learning-rate", "2e-5"]
SMALL += ["--training.ema", "0", "--conditions", "pause-0.5", "--condition-clips", "2", "--timed-clips", "1"]
PRUNED = ["--prune.remove", "0.5", "--prune.every", "1", "--prune.audio-seconds", "10"]


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets")
    for split, count in (("train", 8), ("dev", 2), ("test", 2)):
        write_manifest(folder / f"{split}.jsonl", limit(read_manifest(BUNDLED / f"{split}.jsonl"), count=count))
    return folder


def words(sets: Path, out: Path, *more: str) -> list[str]:
    manifests = [w for split in ("dev", "test") for w in (f"--{split}", str(sets / f"{split}.jsonl"))]
    return ["--train", str(sets / "train.jsonl"), *manifests, "--out", str(out), "--device", "cpu", *more]


@pytest.fixture(scope="module")
def unpadded(tiny_en_model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """tiny.en, whose clips are not made 30 s long: that would be most of the time."""
    model = copy.copy(tiny_en_model[0])
    model.config = replace(model.config, padded=False)
    return save_checkpoint(tmp_path_factory.mktemp("model") / "tiny.en", model, tiny_en_model[1])


@pytest.fixture(scope="module")
def run(sets: Path, unpadded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "job"
    assert main(["adapt", "--model", str(unpadded), *words(sets, out, *SMALL, *PRUNED)]) == 0
    return out


def test_what_was_asked_for_is_gone_and_the_model_still_runs_without_torch(run: Path, sets: Path) -> None:
    original, pruned = (read_config(run / name / "config.json") for name in ("original", "pruned"))
    kept = count_parameters(pruned)["total"] / count_parameters(original)["total"]
    assert 0.47 < kept <= 0.5
    assert pruned.audio_context == 500
    assert not pruned.padded
    clip = read_manifest(sets / "test.jsonl")[0].audio
    code = (
        "import sys; sys.modules['torch'] = None\nfrom secateur.cli import main\n"
        "sys.exit(main(['transcribe', sys.argv[1], '--model', sys.argv[2]]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(clip), str(run / "exported" / "pruned")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) >= 2


def test_real_use_is_measured_and_what_got_worse_is_said(run: Path) -> None:
    summary = json.loads((run / "summary.json").read_text())
    assert list(summary["use"]) == ["original", "dense", "pruned"]
    for name, found in summary["use"].items():
        assert [line["name"] for line in found] == ["clean", "pause-0.5"]
        results = {line["name"]: read_result(run / "use" / name / f"{line['name']}.json") for line in found}
        assert found[1]["value"] == results["pause-0.5"].rate and results["pause-0.5"].utterances == 2
    titles, rows = summary["use_table"]
    assert [row[0] for row in rows] == ["clean", "pause-0.5"] and "no worse than A" in titles
    assert "In real use" in (run / "report.html").read_text()


def test_the_table_is_made_of_the_result_files(run: Path) -> None:
    summary = json.loads((run / "summary.json").read_text())
    assert set(summary["models"]) == {"original", "dense", "pruned", "exported"}
    for name, entry in summary["models"].items():
        result = read_result(run / "results" / f"{name}.json")
        assert entry["error"] == result.rate
        assert entry["bytes"] > 1e6
        assert entry["rtf"] > 0
        assert entry["low"] <= entry["error"] <= entry["high"]
    models = summary["models"]
    assert models["pruned"]["parameters"] < 0.5 * models["dense"]["parameters"]
    assert models["exported"]["bytes"] < 0.2 * models["original"]["bytes"]
    page = (run / "report.html").read_text()
    assert "dense" in page
    assert f"{100 * models['exported']['error']:.1f}" in page


def test_both_arms_took_the_same_steps(run: Path) -> None:
    logs = {
        name: [json.loads(line) for line in (run / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("dense", "pruned")
    }
    assert logs["dense"][-1]["step"] == logs["pruned"][-1]["step"] == 3
    assert logs["pruned"][-1]["kept"] <= 0.5


def test_a_finished_job_is_not_run_again(run: Path, sets: Path, unpadded: Path) -> None:
    before = (run / "pruned" / "model.safetensors").stat().st_mtime_ns
    assert main(["adapt", "--model", str(unpadded), *words(sets, run, *SMALL, *PRUNED)]) == 0
    assert (run / "pruned" / "model.safetensors").stat().st_mtime_ns == before


def test_another_job_is_refused_and_what_differs_is_named(
    run: Path, sets: Path, unpadded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {p: p.stat().st_mtime_ns for p in run.rglob("*") if p.is_file()}
    other = tmp_path / "train.jsonl"
    write_manifest(other, read_manifest(sets / "train.jsonl")[:5])
    for change, named in (
        (["--prune.remove", "0.45"], "prune.remove was 0.5, is 0.45"),
        (["--training.steps", "4"], "training.steps was 3, is 4"),
        (["--precision", "fp16"], "precision was int8, is fp16"),
        (["--train", str(other)], "train was"),
    ):
        given = ["adapt", "--model", str(unpadded), *words(sets, run, *SMALL, *PRUNED), *change]
        capsys.readouterr()
        assert main(given) == 2
        told = capsys.readouterr()
        assert named in told.err and "another run is here" in told.err and not told.out
    content = (sets / "train.jsonl").read_text()
    try:
        (sets / "train.jsonl").write_text("".join(content.splitlines(keepends=True)[:-1]))
        assert main(["adapt", "--model", str(unpadded), *words(sets, run, *SMALL, *PRUNED)]) == 2
        assert "train.jsonl has another content" in capsys.readouterr().err
    finally:
        (sets / "train.jsonl").write_text(content)
    assert {p: p.stat().st_mtime_ns for p in run.rglob("*") if p.is_file()} == before


def test_the_run_folder_says_what_was_run(run: Path, sets: Path) -> None:
    record = json.loads((run / "run.json").read_text())
    assert record["job"] == "adapt" and record["finished"]
    assert record["settings"]["training"]["steps"] == 3 and record["settings"]["prune"]["method"] == "refit"
    assert len(record["data"][str(sets / "train.jsonl")]) == 64
    assert record["versions"]["secateur"] and record["versions"]["torch"]


def test_wrong_words_are_one_line(sets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for ask, message in (
        (["--prune.criterion", "tailor"], "did you mean 'taylor'"),
        (["--prune.kinds", "ffm"], "did you mean 'ffn'"),
        (["--training.epochs", "many"], "expected a number, found 'many'"),
        (["--training.learning-rte", "1"], "did you mean '--training.learning-rate'"),
        (["--model", "tiny.em"], "did you mean 'tiny.en'"),
    ):
        assert main(["prune", *words(sets, tmp_path / "out", *ask)]) == 2
        said = capsys.readouterr().err.strip().splitlines()
        assert message in said[-1]
        assert not (tmp_path / "out").exists()


def test_speakers_in_two_sets_are_refused(sets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clips = read_manifest(BUNDLED / "train.jsonl")
    write_manifest(tmp_path / "a.jsonl", clips[:10])
    write_manifest(tmp_path / "b.jsonl", clips[10:])
    same = ["--train", str(tmp_path / "a.jsonl"), "--dev", str(sets / "dev.jsonl"), "--test", str(tmp_path / "b.jsonl")]
    assert main(["adapt", *same, "--out", str(tmp_path / "out"), "--device", "cpu"]) == 2
    assert "train and test share" in capsys.readouterr().err


def test_a_one_shot_job_needs_no_steps_and_goes_on_when_it_was_killed_while_it_scored(
    sets: Path, tiny_en: Path, tmp_path: Path
) -> None:
    out = tmp_path / "oneshot"
    write_manifest(tmp_path / "test.jsonl", read_manifest(sets / "test.jsonl")[:1])
    ask = ["--one-shot", "--prune.remove", "0.46", "--prune.criterion", "magnitude", "--prune.kinds", "ffn,head"]
    job = ["prune", "--model", str(tiny_en), *words(sets, out, *ask, "--test", str(tmp_path / "test.jsonl"))]
    code = (
        "import os, sys; import secateur.study.oneshot as o; from secateur.cli import main\n"
        "o.score = lambda *a: os._exit(9)\nmain(sys.argv[1:])"
    )
    (tmp_path / "dying.py").write_text(code)
    assert forked_runs.begun(job, tmp_path / "log.txt", tmp_path / "dying.py").wait() == 9
    saved = (out / "model.safetensors").read_bytes()
    assert read_config(out / "config.json").padded  # nothing taught it shorter windows
    assert not (out / "summary.json").exists()
    assert main(job) == 0
    assert (out / "model.safetensors").read_bytes() == saved
    summary = json.loads((out / "summary.json").read_text())
    assert summary["steps"] == 0 and summary["removed"] >= 0.46
    assert summary["error"] and summary["prune"]["remove"] == 0.46
    assert main(job) == 2  # it is done
