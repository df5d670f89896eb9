"""An export learns its own thresholds, and whether it can take prompts, from dev clips."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from secateur.decode.fallback import Decoded
from secateur.decode.generation import Generation
from secateur.decode.options import DecodingOptions
from secateur.evaluate import calibration, conditions
from secateur.evaluate.calibration import calibrate_export
from secateur.runtime.contents import BUNDLED, read_contents
from secateur.runtime.recogniser import Recogniser


@pytest.fixture
def export(tmp_path: Path) -> Path:
    folder = shutil.copytree(next(BUNDLED.glob("*/export.json")).parent, tmp_path / "model")
    values = json.loads((folder / "export.json").read_text())
    values.pop("generation", None)
    (folder / "export.json").write_text(json.dumps(values))
    return Path(folder)


def short_clips(speech: Path, tmp_path: Path, count: int) -> Path:
    folder = speech / "speechocean762"
    rows = [json.loads(line) for line in (folder / "dev.jsonl").read_text().splitlines()]
    rows = sorted(rows, key=lambda row: float(row["duration"]))[20 : 20 + count]
    lines = [json.dumps({**row, "audio": str(folder / row["audio"])}) for row in rows]
    path = tmp_path / "dev.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_thresholds_and_prompts_are_measured_and_kept(
    speech: Path, export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "TRIED", 8)
    monkeypatch.setattr(conditions, "MAX_GENERATED", 42)
    assert read_contents(export).generation == Generation()
    found = calibrate_export(export, short_clips(speech, tmp_path, 52))
    assert read_contents(export).generation == found == Recogniser.load(export).generation
    assert found.no_speech_threshold is not None
    assert found.no_speech_tilt is not None
    options = found.applied(DecodingOptions())
    # This model gives real clips about 0.1, noise about 0.4, and never the 0.6 that the reference asks for.
    assert not Decoded((1,), "x", -0.3, 0.1).silent(options)
    assert Decoded((1,), "x", -1.6, 0.6).silent(options)


def test_too_few_clips_change_nothing(
    speech: Path, export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (export / "export.json").read_bytes()
    calibrate_export(export, short_clips(speech, tmp_path, 5))
    assert (export / "export.json").read_bytes() == before
    assert "5 clips are too few" in capsys.readouterr().err


def test_a_folder_of_an_earlier_version_has_the_usual_thresholds(export: Path) -> None:
    assert Recogniser.load(export).generation == Generation()
    assert replace(Generation(), prompts=False).applied(DecodingOptions(words=("a",))).words == ()
