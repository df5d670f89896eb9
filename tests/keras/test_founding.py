"""The founding example from recordings to answers, small: `examples/founding/run.py` as a person runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from keras_runs import needs

needs("keras", "tensorflow", "kaldialign")
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "founding"


def test_from_recordings_to_answers(speech: Path, tmp_path: Path) -> None:
    if not (speech / "free-spoken-digits" / "train.jsonl").exists():
        pytest.skip("no free-spoken-digits among the speech sets")
    result = tmp_path / "result.json"
    small = {"takes": 10, "copies": 0, "noises": 40, "epochs": 6, "batch-size": 16, "strings": 4, "formats": 0}
    options = [word for name, value in small.items() for word in (f"--{name}", str(value))]
    done = subprocess.run(
        [sys.executable, str(EXAMPLE / "run.py"), "--work", str(tmp_path), "--result", str(result), "--ask", "2",
         "--remove", "0.5", *options],
        env={**os.environ, "KERAS_BACKEND": "tensorflow", "SECATEUR_DATA": str(speech)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(result.read_text())
    dense, pruned = found["arms"]["dense"], found["arms"]["pruned"]
    assert dense["steps"] == pruned["steps"] > 200
    assert 0.4 < pruned["parameters"] / dense["parameters"] <= 0.5
    assert pruned["bytes"] < 0.6 * dense["bytes"]
    for arm in (dense, pruned):
        assert min(arm["test"], arm["dev"]) > 0.6  # of eleven classes; all speakers are in all splits: easy
        assert arm["export_difference"] < 1e-4
    assert found["agreement"] < 1e-5  # torch computes what TensorFlow computes
    assert done.stdout.count("-> You said") == 2

    string = tmp_path / "strings" / "quiet-000.flac"
    asked = subprocess.run(
        [sys.executable, str(EXAMPLE / "assistant.py"), str(tmp_path / "pruned.onnx"), str(string)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    first = next(line for line in done.stdout.splitlines() if line.startswith("7:"))
    assert first.endswith(f"-> {asked.stdout.strip()}")
