"""Options of `evaluate`, `compare` and `export` that were looked at after the work: refused before it, in a line."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
from small_models import small_whisper  # noqa: E402

import secateur.api.evaluate  # noqa: E402
import secateur.evaluate.real_use  # noqa: E402
import secateur.export.job  # noqa: E402
from secateur.base.errors import SecateurError  # noqa: E402
from secateur.cli import main  # noqa: E402
from secateur.data.manifest import read_manifest, write_manifest  # noqa: E402
from secateur.evaluate.conditions import ClipSamples, build, check_possible, joined_groups, too_few  # noqa: E402
from secateur.export.tolerances import tolerances  # noqa: E402
from secateur.models.checkpoint import save_checkpoint  # noqa: E402


@pytest.fixture(scope="module")
def place(speech: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("early")
    clips = [u for u in read_manifest(speech / "free-spoken-digits" / "train.jsonl") if u.duration < 0.9][:8]
    write_manifest(folder / "dev.jsonl", clips)
    write_manifest(folder / "wordless.jsonl", [replace(u, text="") for u in clips])
    write_manifest(folder / "zh.jsonl", [replace(u, text="今天", language="zh") for u in clips])
    (folder / "empty.jsonl").write_text("")
    (folder / "broken.jsonl").write_text("{")
    (folder / "file").write_text("a file")
    (folder / "words.json").write_text("{")
    save_checkpoint(folder / "model", *small_whisper())
    return folder


@pytest.fixture
def nothing_works(monkeypatch: pytest.MonkeyPatch) -> None:
    def worked(*_: object, **__: object) -> None:
        raise AssertionError("work began")

    monkeypatch.setattr(sys.modules["secateur.api.evaluate"], "_checkpoint", worked)
    monkeypatch.setattr(secateur.evaluate.real_use, "measure", worked)
    monkeypatch.setattr(secateur.export.job, "export_onnx", worked)
    monkeypatch.setattr(secateur.export.job, "write_format", worked)


EVALUATE = [
    (["--by", "colour"], "no clip has an extra 'colour'"),
    (["--by", "speakr"], "no clip has an extra 'speakr'"),
    (["--out", "{place}/file/below.json"], "is a file, not a folder"),
    (["--out", "{place}"], "is a folder"),
    (["--correct", "{place}/words.json"], "correction by sound is for Chinese, in characters; here is en"),
    (["--correct-cost", "4"], "--correct-cost goes with --correct"),
    (["--alternatives", "4"], "--alternatives keeps texts in the rows of a result file"),
    (["--conditions", "clean", "--alternatives", "4"], "--alternatives does not go with --conditions"),
    (["--tune-on", "{place}/dev.jsonl"], "--tune-on chooses weights of --lm or --correct"),
    (["--nonspeech", "{place}/dev.jsonl"], "--nonspeech goes with --conditions nonspeech"),
    (["--nonspeech", "{place}/none.jsonl", "--conditions", "nonspeech"], "none.jsonl"),
    (["--conditions", "pause-2", "--nonspeech", "{place}/dev.jsonl"], "--nonspeech goes with --conditions nonspeech"),
    (["--conditions", "clean", "--by", "speaker"], "--by does not go with --conditions"),
    (["--conditions", "clean", "--metric", "cer"], "--metric does not go with --conditions"),
    (["--conditions", "clean", "--out", "{place}/file"], "is a file"),
    (["--conditions", "joined-30"], "the condition 'joined-30' cannot be measured here: the clips are too few"),
    (["--conditions", "joined"], "the condition 'joined' cannot be measured here: the clips are too few"),
    (["--conditions", "clean,prompt-nutral"], "did you mean 'prompt-neutral'"),
    (["--conditions", "pause-inf"], "no condition 'pause-inf'"),
]
EXPORT = [
    (["--tolerance", "0.2,pauze=1", "--dev", "{place}/dev.jsonl"], "did you mean 'pause'"),
    (["--tolerance", "0.2,all=1", "--dev", "{place}/dev.jsonl"], "all is none of them"),
    (["--tolerance", "0.2,pause=-1", "--dev", "{place}/dev.jsonl"], "found 'pause=-1'"),
    (["--tolerance", "pause=nan", "--dev", "{place}/dev.jsonl"], "found 'pause=nan'"),
    (["--tolerance", "0.2,0.3", "--dev", "{place}/dev.jsonl"], "two values for the error rate"),
    (["--tolerance", "pause=1,pause=2", "--dev", "{place}/dev.jsonl"], "two values for pause"),
    (["--tolerance", "joined-120=1", "--dev", "{place}/dev.jsonl"], "cannot be measured here: the clips are too few"),
    (["--format", "wrr"], "'whisper' (those that can: onnx, "),
    (["--format", "gmml", "--check"], "(did you mean 'ggml'?) (those that can: onnx, "),
    (["--tolerance", "0.5"], "--tolerance is for the clips of --dev"),
    (["--limit", "4"], "--limit is for the clips of --dev"),
    (["--nonspeech", "{place}/dev.jsonl"], "--nonspeech is for the clips of --dev"),
    (["--calibrate", "{place}/dev.jsonl"], "--calibrate goes with int8-static and int8-dynamic, not with int8"),
    (["--dev", "{place}/empty.jsonl"], "no utterances in it"),
    (["--dev", "{place}/broken.jsonl"], "broken.jsonl"),
    (["--four-bits", "decoder.*.fnn"], "no weight is named 'decoder.*.fnn'"),
    (["--format", "transformers-pruned", "--dev", "{place}/dev.jsonl"], "--dev goes with --format onnx"),
    (["--format", "transformers-pruned", "--four-bits", "*"], "--four-bits goes with --format onnx"),
]


def refused(words: list[str], place: Path, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(place.rglob("*"))
    assert main([word.format(place=place) for word in words]) == 2
    output = capsys.readouterr()
    last = output.err.strip().splitlines()[-1]
    assert line in last and last.startswith("secateur: ") and not output.out, output.err
    assert sorted(place.rglob("*")) == before


@pytest.mark.usefixtures("nothing_works")
@pytest.mark.parametrize(("more", "line"), EVALUATE, ids=[" ".join(m) for m, _ in EVALUATE])
def test_evaluate_refuses_first(more: list[str], line: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(["evaluate", "{place}/model", "{place}/dev.jsonl", "--device", "cpu", *more], place, line, capsys)


@pytest.mark.usefixtures("nothing_works")
@pytest.mark.parametrize(("more", "line"), EXPORT, ids=[" ".join(m) for m, _ in EXPORT])
def test_export_refuses_first(more: list[str], line: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(["export", "{place}/model", "--out", "{place}/out", *more], place, line, capsys)


@pytest.mark.usefixtures("nothing_works")
def test_a_word_file_is_read_before_anything_is_decoded(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evaluate", "{place}/model", "{place}/zh.jsonl", "--device", "cpu", "--correct", "{place}/words.json"]
    refused(words, place, "words.json", capsys)
    refused([*words, "--metric", "wer"], place, "here is wer", capsys)


@pytest.mark.usefixtures("nothing_works")
def test_compare_looks_at_both_before_it_decodes_the_first(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for b, line in (("tiny.em", "did you mean 'tiny.en'?"), ("{place}/none.json", "none.json")):
        refused(["compare", "{place}/model", b, "{place}/dev.jsonl", "--device", "cpu"], place, line, capsys)
    refused(["compare", "{place}/model", "{place}/model"], place, "give a MANIFEST", capsys)


def test_what_lengths_say_of_a_condition_is_what_is_built(speech: Path) -> None:
    every = read_manifest(speech / "free-spoken-digits" / "train.jsonl")

    def source(clips: list) -> ClipSamples:  # type: ignore[type-arg]
        import numpy as np

        return ClipSamples(clips, lambda u: np.zeros(round(u.duration * 8000), np.float32), 8000)

    for count in (1, 2, 30, 120):
        clips = every[:count]
        for name in ("clean", "pause-2", "joined-10", "joined-30", "joined-60", "previous", "timestamps"):
            assert too_few(name, clips) == (not build(name, source(clips))), (name, count)
    assert [u for group in joined_groups(every[:120], 10.0) for u in group] == every[: sum(
        len(g) for g in joined_groups(every[:120], 10.0))]  # fmt: skip


def test_a_kind_is_refused_only_where_nothing_of_it_can_be_measured(place: Path) -> None:
    clips, config = read_manifest(place / "dev.jsonl"), small_whisper()[0].config
    check_possible(["all", "pause", "nonspeech"], clips, config)
    with pytest.raises(SecateurError, match="'prompt' cannot be measured here: the model takes no prompt"):
        check_possible(["clean", "prompt"], clips, json)
    with pytest.raises(SecateurError, match="here is none"):
        check_possible(["clean"], read_manifest(place / "wordless.jsonl"), config)


@pytest.mark.parametrize(
    ("given", "points", "by_condition"),
    [("0.3", 0.3, {}), ("pause=0.5, joined=1", 0.2, {"pause": 0.5, "joined": 1.0}), (0.4, 0.4, {}),
     ("0,timestamps=5,pause-4=0", 0.0, {"timestamps": 5.0, "pause-4": 0.0})],
)  # fmt: skip
def test_tolerances_are_points_by_condition(given: float | str, points: float, by_condition: dict[str, float]) -> None:
    assert tolerances(given) == (points, by_condition)
