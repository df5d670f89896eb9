"""A corrected result is counted again, and how readily it changes is chosen on another set."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("kaldialign")
pytest.importorskip("opencc")
pytest.importorskip("wetext")
pytest.importorskip("pypinyin")
pytest.importorskip("jieba")

from secateur.base.errors import SecateurError
from secateur.cli import main
from secateur.data.manifest import Utterance
from secateur.evaluate.corrected import CHANGED, chosen, corrected
from secateur.evaluate.result import Result, read_result, write_result
from secateur.evaluate.run import evaluate
from secateur.text.by_sound import BySound, costs_of
from secateur.text.word_model import WordModel

SAID = ["我在银行工作", "他加入解放军", "好奇怪的石头"]


def result(heard: list[str]) -> Result:
    clips = [Utterance(str(i), Path("x"), 1.0, text, f"s{i}", "zh") for i, text in enumerate(SAID)]
    return evaluate(lambda _: heard, clips, model="m", data="d", resamples=200)


def test_rows_are_rewritten_and_counted_again() -> None:
    before = result(["我在银航工作", "他加入解放君", "好奇怪的石头"])
    writer = BySound(WordModel())
    after = corrected(before, writer)
    assert (before.errors, after.errors) == (2, 0) and after.rows[0].hypothesis == SAID[0]
    # Where correction helps it is chosen to change something; where nothing is wrong, to change least.
    helped, tried = chosen(before, writer)
    assert corrected(before, helped).errors == 0 and min(t.rate for t in tried) == 0
    assert chosen(result(SAID), writer)[0].costs.changed == max(CHANGED)
    with pytest.raises(SecateurError, match="has no rows"):
        chosen(replace(before, rows=()), writer)


def test_the_command_corrects_a_result_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_result(tmp_path / "test.json", result(["我在银航工作", "他加入解放君", "好奇怪的石头"]))
    write_result(tmp_path / "dev.json", result(SAID))
    words = ["text", "correct", "--result", str(tmp_path / "test.json"), "--out", str(tmp_path / "out.json"), "--json"]
    assert main(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["before"] == pytest.approx(2 / 18) and found["after"] == 0
    assert read_result(tmp_path / "out.json").settings["corrected"]["changed"] == 8.0
    assert main([*words, "--dev", str(tmp_path / "dev.json")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["changed"] == 12.0  # where nothing is wrong, change least
    assert {"changed": 12.0, "head": 0.0, "rate": 0.0, "careful": True, "lm": None} in found["dev"]


def test_the_strength_chosen_on_dev_is_kept_with_the_words(tmp_path: Path) -> None:
    WordModel({"银行": 3}, protected=("银航",)).write(tmp_path / "words.json")
    write_result(tmp_path / "dev.json", result(["我在银航工作", "他加入解放君", "好奇怪的石头"]))
    words = ["text", "correct", "--result", str(tmp_path / "dev.json"), "--dev", str(tmp_path / "dev.json")]
    assert main([*words, "--words", str(tmp_path / "words.json")]) == 0
    model = WordModel.read(tmp_path / "words.json")
    assert model.protected == ("银航",) and model.costs["changed"] in CHANGED
    assert BySound(model).costs == costs_of(model)
    assert costs_of(model, 5.0).changed == 5.0
    assert BySound(model).correct("我在银航工作") == "我在银航工作"  # protected
