"""`secateur evaluate` and `compare` with a real model on real speech."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from secateur.cli import main
from secateur.evaluate.result import read_result

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def heard(tiny_en: Path, speech: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The result file of tiny.en on the first clips of librispeech-mini's test set."""
    out = tmp_path_factory.mktemp("evaluate") / "tiny.json"
    manifest = speech / "librispeech-mini" / "test.jsonl"
    assert main(["evaluate", str(tiny_en), str(manifest), "--limit", "4", "--out", str(out), "--device", "cpu"]) == 0
    return out


def test_tiny_en_reads_librispeech(heard: Path) -> None:
    result = read_result(heard)
    assert result.rate < 0.2  # 8.4 % over the whole set
    assert (result.utterances, result.metric, result.data) == (4, "wer", "librispeech-mini/test")
    assert round(result.parameters or 0, -5) == 37_800_000
    assert result.rtf > 0 and result.settings["runtime"] == "torch"
    assert all(row.hypothesis for row in result.rows)


def test_compared_with_itself_is_a_tie(heard: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(heard), str(heard), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["difference"]["b_better"] == 0.5


def test_exported_model_hears_the_same(heard: Path, tiny_en: Path, speech: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    from secateur.export.onnx import export_onnx
    from secateur.weights.fetch import load_model

    network, tokenizer = load_model(str(tiny_en))
    export_onnx(network, tokenizer, tmp_path / "onnx", "fp32")
    manifest = speech / "librispeech-mini" / "test.jsonl"
    words = ["evaluate", str(tmp_path / "onnx"), str(manifest), "--limit", "2", "--out", str(tmp_path / "r.json")]
    assert main(words) == 0
    exported, wanted = read_result(tmp_path / "r.json"), read_result(heard)
    assert exported.settings["runtime"] == "onnxruntime"
    assert [row.hypothesis for row in exported.rows] == [row.hypothesis for row in wanted.rows[:2]]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--limit", "0"], "--limit must be at least 1"),
        (["--metric", "mer"], "'mer' is not one of wer, cer, per"),
    ],
)
def test_mistakes_are_one_line(
    words: list[str], message: str, speech: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "tiny.en", str(speech / "librispeech-mini" / "test.jsonl"), *words]) == 2
    found = capsys.readouterr().err
    assert message in found and "Traceback" not in found
