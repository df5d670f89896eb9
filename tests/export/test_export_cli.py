"""`secateur export`: sizes and parity in the result; a graph that differs is refused and nothing stays."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from small_models import small_whisper

from secateur.cli import main
from secateur.export import job as exporting
from secateur.models.checkpoint import save_checkpoint
from secateur.runtime.contents import read_contents

torch.set_num_threads(1)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return save_checkpoint(tmp_path / "model", *small_whisper())


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8", "int8-dynamic"])
def test_result_has_sizes_and_parity(checkpoint: Path, precision: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = checkpoint.parent / "out"
    assert main(["export", str(checkpoint), "--out", str(out), "--precision", precision, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["precision"] == precision
    assert result["bytes"]["decoder.onnx"] == (out / "decoder.onnx").stat().st_size
    assert result["parity"] == read_contents(out).parity
    assert result["parity"]["steps"] > 3 and result["parity"]["on"] == "noise"
    if precision == "fp32":
        assert result["parity"]["max_difference"] < 1e-4 and result["parity"]["agreement"] == 1
    else:
        assert 1e-4 < result["parity"]["max_difference"] < 1


def test_a_difference_above_the_tolerance_is_exit_code_2(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(exporting, "TOLERANCE", 0.0)
    out = checkpoint.parent / "out"
    assert main(["export", str(checkpoint), "--out", str(out), "--precision", "fp32"]) == 2
    assert "nothing was written" in capsys.readouterr().err
    assert [p.name for p in checkpoint.parent.iterdir()] == ["model"]


def test_an_unknown_precision_is_exit_code_2(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(checkpoint), "--out", str(checkpoint.parent / "out"), "--precision", "int9"]) == 2
    assert "int8" in capsys.readouterr().err


def test_options_of_other_formats_are_refused_and_no_note_precedes_a_refusal(
    checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, expected in (
        (("--largest", "1"), "--largest goes with --format transformers"),
        (("--format", "ggml", "--precision", "int8"), "does not store int8"),
        (("--format", "sherpa"), "'sherpa' cannot be written"),
    ):
        assert main(["export", str(checkpoint), "--out", str(checkpoint.parent / "out"), *words]) == 2
        err = capsys.readouterr().err
        assert expected in err and "note:" not in err
