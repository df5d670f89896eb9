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
        (["--limit", "0"], "limit must be at least 1"),
        (["--metric", "ter"], "'ter' is not one of wer, cer, mer, per"),
        (["--normalise", "wisper"], "'wisper' is not one of whisper, language, cased, none"),
    ],
)
def test_mistakes_are_one_line(
    words: list[str], message: str, speech: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "tiny.en", str(speech / "librispeech-mini" / "test.jsonl"), *words]) == 2
    found = capsys.readouterr().err
    assert message in found and "Traceback" not in found


def test_run_folders_and_bundled_names_are_models(tmp_path: Path) -> None:
    from secateur.api.evaluate import located
    from secateur.base.errors import SecateurError
    from secateur.runtime.contents import BUNDLED

    for name in ("original", "dense", "pruned", "exported/pruned", "exported/original"):
        (tmp_path / "run" / name).mkdir(parents=True)
        (tmp_path / "run" / name / "config.json").write_text("{}")
    assert located(str(tmp_path / "run")) == str(tmp_path / "run" / "exported" / "pruned")
    assert located(str(tmp_path / "run" / "dense")) == str(tmp_path / "run" / "dense")
    assert located(str(tmp_path / "run" / "exported")) == str(tmp_path / "run" / "exported" / "pruned")
    assert located("secateur-en") == str(BUNDLED / "secateur-en")
    assert located("tiny.en") == "tiny.en"  # a name that is fetched
    for name in ("a-0", "b-0"):
        (tmp_path / "study" / name).mkdir(parents=True)
        (tmp_path / "study" / name / "config.json").write_text("{}")
    with pytest.raises(SecateurError, match="several models"):
        located(str(tmp_path / "study"))


def test_several_languages_in_one_manifest(speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("wetext")
    pytest.importorskip("opencc")
    lines = []
    for folder, language in (("librispeech-mini", "english"), ("commonvoice-zh-cn", "zh_CN")):
        source = speech / folder / "test.jsonl"
        row = json.loads(source.read_text(encoding="utf-8").splitlines()[0])
        lines.append(json.dumps({**row, "audio": str(source.parent / row["audio"]), "language": language}))
    (tmp_path / "mixed.jsonl").write_text("\n".join(lines), encoding="utf-8")
    out = tmp_path / "r.json"
    assert main(["evaluate", "secateur-en", str(tmp_path / "mixed.jsonl"), "--out", str(out)]) == 0
    shown = capsys.readouterr()
    assert "mean of the 2 languages" in shown.out and "an English-only model on Chinese" in shown.err
    result = read_result(out)
    assert [(one.language, one.metric) for one in result.languages] == [("en", "wer"), ("zh", "cer")]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--patience 2", "--patience has no effect without --beam"),
        ("--length-penalty 1 --beam 1", "--length-penalty has no effect without --beam"),
        ("--conditions nonspeech --patience 2", "--patience has no effect without --beam"),
        ("--lm-weight 0.3", "--lm-weight has no effect without --lm"),
        ("--unknown=-3 --beam 4", "--unknown has no effect without --lm"),
        ("--vad-threshold 0.4", "--vad-threshold has no effect without --vad on"),
        ("--best-of 3", "--best-of has no effect without --temperatures"),
        ("--language french", "knows English only"),
    ],
)
def test_what_decoding_would_ignore_is_refused(
    tiny_en: Path, speech: Path, words: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = speech / "librispeech-mini" / "test.jsonl"
    assert main(["evaluate", str(tiny_en), str(manifest), "--limit", "1", "--device", "cpu", *words.split()]) == 2
    assert message in capsys.readouterr().err
