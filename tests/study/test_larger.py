"""The larger part of the founding example, small: labels, a study's run, language models, and an answer at the end."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("kaldialign")
pytest.importorskip("onnx")

from secateur.base.files import read_json  # noqa: E402
from secateur.data.manifest import read_manifest  # noqa: E402
from secateur.text.normalise import spoken  # noqa: E402

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "founding" / "larger" / "run.py"


def test_it_goes_from_labels_to_an_answer(
    speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], forked_runs: None
) -> None:
    words = ["--data", str(speech), "--out", str(tmp_path), "--small", "--labeller", "secateur-en"]
    words += ["--only", "conformer-labels", "--units", "characters", "--devices", "cpu"]
    main = runpy.run_path(str(EXAMPLE))["main"]
    assert main(words) == 0
    told, true = (read_manifest(tmp_path / "data" / "librispeech-mini" / f"{n}.jsonl") for n in ("labels", "train"))
    assert [u.audio for u in told] == [u.audio for u in true] and all(u.text for u in told)
    assert [u.text for u in told] != [u.text for u in true]
    run = tmp_path / "runs" / "conformer-labels-0"
    assert read_json(run / "summary.json")["steps"] == 3
    found = read_json(tmp_path / "read" / "conformer-labels-0.json")
    assert {"librispeech-mini", "librispeech-mini@lm"} <= set(found["errors"])
    assert (tmp_path / "exported" / "conformer-labels-0" / "network.onnx").exists()
    heard = capsys.readouterr().out.splitlines()[-1]
    taught = read_manifest(tmp_path / "data" / "speechocean762" / "train.jsonl")
    assert set(heard.split()) <= {word for u in (*true, *taught) for word in spoken(u.text).split()}  # the lexicon
    before = (run / "model.safetensors").stat().st_mtime_ns
    assert main(words) == 0  # once more: nothing is done again
    assert (run / "model.safetensors").stat().st_mtime_ns == before
