"""Result files, breakdowns and the evaluation loop, on rows made by the real counting."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from secateur.base.errors import SecateurError
from secateur.data.manifest import Utterance
from secateur.evaluate.breakdown import by_extra, by_length, by_speaker, extra_names
from secateur.evaluate.compare import compare_results
from secateur.evaluate.result import Result, is_result, read_result, write_result
from secateur.evaluate.run import evaluate
from secateur.evaluate.table import table

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


def utterances(language: str = "en") -> list[Utterance]:
    return [
        Utterance(
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
    clip = replace(utterances("zh-CN")[0], text="打开客厅的灯。")
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
    with pytest.raises(SecateurError, match=r"row 2: counts: substitutions: expected a whole number, found 'many'"):
        read_result(tmp_path / "r.json")


def test_refusals() -> None:
    clips = utterances()
    with pytest.raises(SecateurError, match="2 texts came back for 5 clips"):
        evaluate(lambda _: ["a", "b"], clips, model="m", data="d")
    with pytest.raises(SecateurError, match="no clips"):
        evaluate(lambda _: [], [], model="m", data="d")
    unlabelled = replace(clips[3], text="")
    with pytest.raises(SecateurError, match="'b2' has no transcript"):
        evaluate(lambda _: [], [*clips, unlabelled], model="m", data="d")
    with pytest.raises(SecateurError, match="unknown language 'klingon'"):
        evaluate(lambda _: ["x"], [replace(clips[3], language="klingon")], model="m", data="d")
    with pytest.raises(SecateurError, match=r"unknown normalisation 'wisper' .did you mean 'whisper'"):
        evaluate(lambda _: ["x"], clips[:1], model="m", data="d", normalise="wisper")


def test_words_where_nothing_is_spoken_are_insertions() -> None:
    silent = [replace(u, id=f"{u.id}-silent", text="", no_speech=True) for u in utterances()[:2]]
    texts = ["turn on the light", "turn off the light", "thank you", "..."]
    found = evaluate(lambda _: texts, [*utterances()[:2], *silent], model="m", data="d")
    assert (found.errors, found.insertions, found.words, found.without_reference) == (2, 2, 8, 2)
    assert found.rate == 2 / 8
    assert math.isnan(found.rows[2].counts.rate)


def test_a_set_without_any_speech_has_no_rate(tmp_path: Path) -> None:
    silent = [replace(u, text="", no_speech=True) for u in utterances()]
    found = evaluate(lambda _: ["you", "", "", "", "bye bye"], silent, model="m", data="d")
    assert (found.insertions, found.words, found.without_reference) == (3, 0, 5)
    assert math.isnan(found.rate)
    write_result(tmp_path / "r.json", found)
    text = (tmp_path / "r.json").read_text()
    assert "NaN" not in text and json.loads(text)["rate"] is None  # JSON has no nan
    assert table([("m", found)])[1] == [["m", "0.000"]]  # nothing to show but the speed
    again = read_result(tmp_path / "r.json")
    assert math.isnan(again.rate) and again.rows == found.rows


def test_each_language_counts_in_its_own_metric(tmp_path: Path) -> None:
    def clip(name: str, text: str, language: str) -> Utterance:
        return Utterance(name, Path("a.wav"), 1.0, text, name[0], language)

    clips = [clip("a", "turn on the light", "en-GB"), clip("b", "打开客厅的灯", "zh-CN"), clip("c", "नमस्ते दुनिया", "hi"),
             clip("d", "turn it off", "en-US")]  # fmt: skip
    texts = ["turn on a light", "打开客厅灯", "नमस्त दुनिया", "turn it off"]
    found = evaluate(lambda _: texts, clips, model="m", data="d")
    assert (found.metric, found.language, found.words, found.errors) == ("mer", "en, hi, zh", 4 + 6 + 2 + 3, 3)
    rates = {one.language: (one.metric, one.normalise, one.errors, one.words) for one in found.languages}
    assert rates == {
        "en": ("wer", "whisper", 1, 7), "zh": ("cer", "language", 1, 6), "hi": ("wer", "language", 1, 2),
    }  # fmt: skip
    assert found.mean_of_languages == pytest.approx((1 / 7 + 1 / 6 + 1 / 2) / 3)
    assert [(s.name, s.counts.errors) for s in by_extra(found.rows, "language")] == [("en", 1), ("hi", 1), ("zh", 1)]
    write_result(tmp_path / "r.json", found)
    assert read_result(tmp_path / "r.json") == found


def test_dialects_are_one_language() -> None:
    clips = [replace(utterances()[0], language="en-GB"), replace(utterances()[1], language="en-US")]
    found = evaluate(lambda _: ["colour", "color"], clips, model="m", data="d")
    assert (found.language, found.metric, found.languages) == ("en", "wer", ())


def test_the_scheme_is_part_of_a_result() -> None:
    clip = replace(utterances()[0], text="Hello, World. It's 5 o'clock")
    rates = {
        scheme: evaluate(lambda _: ["hello world it's 5 o'clock"], [clip], model="m", data="d", normalise=scheme)
        for scheme in ("whisper", "cased", "none", None)
    }
    assert [rates[s].errors for s in ("whisper", "cased", "none")] == [0, 3, 3]
    assert rates[None].normalise == rates["whisper"].normalise == "whisper"
    with pytest.raises(SecateurError, match="the same --normalise"):
        compare_results(rates["whisper"], rates["cased"])


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
