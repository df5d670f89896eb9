"""Result files, breakdowns and the evaluation loop, on rows made by the real counting."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from secateur.base.errors import SecateurError
from secateur.evaluate.breakdown import by_extra, by_length, by_speaker, extra_names
from secateur.evaluate.result import Result, is_result, read_result, write_result
from secateur.evaluate.run import evaluate

pytest.importorskip("kaldialign")
pytest.importorskip("whisper_normalizer")

HEARD = {
    "a1": "Turn on the light.", "a2": "turn of the light", "b1": "", "b2": "play some music please now",
    "c1": "twenty five",
}  # fmt: skip
SAID = {
    "a1": "turn on the light", "a2": "turn off the light", "b1": "good morning", "b2": "play some music please",
    "c1": "twenty-five",
}  # fmt: skip
AGES: dict[str, Any] = {"a": 6, "b": 34, "c": None}


def utterances(language: str = "en") -> list[Any]:
    return [
        SimpleNamespace(
            id=key, audio=Path(f"{key}.wav"), duration=1.5 * i + 1, text=text, speaker=key[0], language=language,
            extras={"age": AGES[key[0]], "gender": "f"} if AGES[key[0]] else {"gender": "f"},
        )
        for i, (key, text) in enumerate(SAID.items())
    ]  # fmt: skip


def result(**changes: Any) -> Result:
    return evaluate(
        lambda clips: [HEARD[clip.id] for clip in clips], utterances(),
        model="test", data="five clips", parameters=1000, macs=2000, size=4000, settings={"beam": 1}, **changes,
    )  # fmt: skip


def test_evaluation_counts_what_was_said() -> None:
    found = result()
    assert (found.substitutions, found.deletions, found.insertions, found.words) == (1, 2, 1, 15)
    assert found.rate == pytest.approx(4 / 15)
    assert found.interval[0] <= found.rate <= found.interval[1]
    assert (found.utterances, found.speakers, found.metric, found.language) == (5, 3, "wer", "en")
    assert found.seconds_audio == sum(1.5 * i + 1 for i in range(5))
    assert found.settings["beam"] == 1 and found.settings["resamples"] == 10_000


def test_chinese_counts_characters() -> None:
    clip = utterances("zh-CN")[0]
    clip.text = "打开客厅的灯。"
    found = evaluate(lambda clips: ["打开客厅灯"], [clip], model="m", data="d")
    assert (found.metric, found.words, found.deletions) == ("cer", 6, 1)


def test_file_comes_back_the_same(tmp_path: Path) -> None:
    found = result()
    write_result(tmp_path / "r.json", found)
    assert read_result(tmp_path / "r.json") == found
    assert is_result(tmp_path / "r.json")
    write_result(tmp_path / "short.json", found, rows=False)
    assert read_result(tmp_path / "short.json") == replace(found, rows=())
    # One line a clip: a changed transcript is a changed line in version control.
    assert sum('"a2"' in line and "turn of the light" in line for line in (tmp_path / "r.json").open()) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]", "not a result file"),
        ("{}", "not a result file"),
        ('{"format": "other"}', "not a result file of the format"),
        ('{"format": "secateur-result-1", "model": "x"}', "missing key"),
        ("{", "not valid JSON"),
    ],
)
def test_foreign_files_are_one_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(SecateurError, match=message) as caught:
        read_result(tmp_path / "r.json")
    assert "\n" not in str(caught.value) and "r.json" in str(caught.value)


def test_damaged_rows_name_the_row(tmp_path: Path) -> None:
    write_result(tmp_path / "r.json", result())
    values = json.loads((tmp_path / "r.json").read_text())
    values["rows"][1][3] = "many"
    (tmp_path / "r.json").write_text(json.dumps(values))
    with pytest.raises(SecateurError, match=r"row 2: counts: substitutions: expected int, found 'many'"):
        read_result(tmp_path / "r.json")


def test_refusals() -> None:
    clips = utterances()
    with pytest.raises(SecateurError, match="2 texts came back for 5 clips"):
        evaluate(lambda _: ["a", "b"], clips, model="m", data="d")
    with pytest.raises(SecateurError, match="no clips"):
        evaluate(lambda _: [], [], model="m", data="d")
    clips[3].text = ""
    with pytest.raises(SecateurError, match="'b2' has no transcript"):
        evaluate(lambda _: [], clips, model="m", data="d")
    clips[3].text, clips[3].language = "x", "fr"
    with pytest.raises(SecateurError, match="several languages"):
        evaluate(lambda _: [], clips, model="m", data="d")


def test_breakdowns_add_up() -> None:
    rows = result().rows
    for slices in (by_speaker(rows), by_length(rows), by_extra(rows, "age"), by_extra(rows, "gender")):
        assert sum(s.counts.errors for s in slices) == 4
        assert sum(s.utterances for s in slices) == 5


def test_speakers_worst_first_and_lengths_in_order() -> None:
    rows = result().rows
    assert [(s.name, s.counts.errors) for s in by_speaker(rows)] == [("b", 3), ("a", 1), ("c", 0)]
    assert [(s.name, s.utterances) for s in by_length(rows)] == [("under 2 s", 1), ("2 to 4 s", 1), ("4 to 8 s", 3)]


def test_extras_group_numbers_by_tens() -> None:
    rows = result().rows
    assert [(s.name, s.utterances) for s in by_extra(rows, "age")] == [("0-9", 2), ("30-39", 2), ("not given", 1)]
    assert extra_names(rows) == ["age"]  # everybody has the same gender: nothing to compare
    with pytest.raises(SecateurError, match="did you mean 'gender'"):
        by_extra(rows, "gendre")
