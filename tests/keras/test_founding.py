"""The founding example from recordings to answers and a page, small: `examples/founding/run.py` as it is run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from keras_runs import needs

needs("keras", "tensorflow", "kaldialign", "matplotlib")
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "founding"


MADE = Path(__file__).resolve().parents[2] / "experiments" / "founding" / "quick.json"


TAKES = (0, 1, 5, 6, *range(10, 16))  # two to test on, two to choose by, six to learn from


@pytest.fixture
def few(speech: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The speech sets that the example reads, with `TAKES` of every speaker and digit."""
    digits = speech / "free-spoken-digits"
    if not (digits / "train.jsonl").exists():
        pytest.skip("no free-spoken-digits among the speech sets")
    folder = tmp_path_factory.mktemp("data")
    (folder / "noise").symlink_to(speech / "noise")
    (folder / digits.name).mkdir()
    for split in ("train", "test"):
        (folder / digits.name / split).symlink_to(digits / split)
        lines = (digits / f"{split}.jsonl").read_text().splitlines(keepends=True)
        some = [line for line in lines if int(json.loads(line)["id"].split("_")[2]) in TAKES]
        (folder / digits.name / f"{split}.jsonl").write_text("".join(some))
    return folder


def test_from_recordings_to_answers_and_a_page(few: Path, tmp_path: Path) -> None:
    small = {
        "blocks": 1, "takes": 6, "copies": 0, "noises": 24, "epochs": 5, "batch-size": 12, "strings": 2, "formats": 0,
        "remove": 0.5, "ask": 2, "mandarin": 0,
    }  # fmt: skip
    options = [word for name, value in small.items() for word in (f"--{name}", str(value))]
    done = subprocess.run(
        [sys.executable, str(EXAMPLE / "run.py"), "--work", str(tmp_path), "--arms", *options],
        env={**os.environ, "KERAS_BACKEND": "tensorflow", "SECATEUR_DATA": str(few)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads((tmp_path / "result.json").read_text())
    (dense,), (pruned,) = found["arms"]["dense"], found["arms"]["pruned"]
    assert dense["steps"] == pruned["steps"] > 100
    assert 0.4 < pruned["parameters"] / dense["parameters"] <= 0.5
    assert pruned["bytes"] < 0.6 * dense["bytes"]
    for arm in (dense, pruned):
        assert min(arm["test"], arm["dev"]) > 0.6  # of eleven classes; all speakers are in all splits: easy
        assert arm["export_difference"] < 1e-4
    assert found["agreement"]["max_difference"] < 1e-5  # torch computes what TensorFlow computes
    assert done.stdout.count("-> You said") == 2

    loss, kept = found["features"]["loss"], found["features"]["kept"]
    assert len(kept) == 26  # without what matters least
    assert max(loss[f"input[{i}]"] for i in range(39) if i not in kept) <= min(loss[f"input[{i}]"] for i in kept)

    page = (tmp_path / "index.html").read_text()
    links = re.findall(r"href='([^'#]+)'", page)
    assert {"pruned.onnx", "pruned.keras", "map/report.html", "result.json"} <= {*links}
    assert all((tmp_path / link).exists() for link in links)

    string = tmp_path / "strings" / "quiet-000.flac"
    asked = subprocess.run(
        [sys.executable, str(EXAMPLE / "assistant.py"), str(tmp_path / "pruned.onnx"), str(string)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    first = next(line for line in done.stdout.splitlines() if line.startswith("7:"))
    assert first.endswith(f"-> {asked.stdout.strip()}")


def test_the_page_says_whether_pruned_is_better(tmp_path: Path) -> None:
    code = "import sys, page; [page.main([folder]) for folder in sys.argv[1:]]"
    result = json.loads(MADE.read_text())
    worse = json.loads(MADE.read_text())
    for run in worse["arms"]["pruned"]:  # it recognises nothing
        run["heard"] = {name: " ".join("-" for _ in heard.split()) for name, heard in run["heard"].items()}
    for name, value in (("as_it_was", result), ("worse", worse)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "result.json").write_text(json.dumps(value))
    folders = [str(tmp_path / name) for name in ("as_it_was", "worse")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code, *folders], cwd=EXAMPLE, env=environment, check=True)
    was, is_worse = ((tmp_path / name / "index.html").read_text() for name in ("as_it_was", "worse"))
    verdict = re.compile(r"pruned while it learns, \d+.% of the parameters: ([a-z ]+)")
    assert verdict.search(is_worse)[1] == "more errors than dense"  # type: ignore[index]
    assert verdict.search(was)[1].endswith("errors than dense")  # type: ignore[index]
    for word in ("pruned, fewer features", "pruned, lower sample rate", result["answers"][0][1]):
        assert word in was
