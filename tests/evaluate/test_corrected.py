"""A corrected result is counted again, and how readily it changes is chosen on another set."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("kaldialign")
pytest.importorskip("opencc")
pytest.importorskip("wetext")
pytest.importorskip("pypinyin")
pytest.importorskip("jieba")

from secateur.cli import main
from secateur.data.manifest import Utterance
from secateur.evaluate.corrected import Rewrite, choose, corrected
from secateur.evaluate.result import Result, read_result, write_result
from secateur.evaluate.run import evaluate

SAID = ["我在银行工作", "他加入解放军", "好奇怪的石头"]


def result(heard: list[str]) -> Result:
    clips = [Utterance(str(i), Path("x"), 1.0, text, f"s{i}", "zh") for i, text in enumerate(SAID)]
    return evaluate(lambda _: heard, clips, model="m", data="d", resamples=200)


def test_rows_are_rewritten_and_counted_again() -> None:
    before = result(["我在银航工作", "他加入解放军", "好奇怪的石头"])
    after = corrected(before, lambda row: row.hypothesis.replace("航", "行"))
    assert (before.errors, after.errors) == (1, 0) and after.rows[0].hypothesis == SAID[0]
    rewrites: dict[float, Rewrite] = {
        1.0: lambda row: "", 2.0: lambda row: row.hypothesis.replace("航", "行"), 5.0: lambda row: SAID[0]
    }  # fmt: skip
    key, rates = choose(before, rewrites)
    assert key == 2.0 and rates[2.0] == 0 < rates[5.0] < rates[1.0] == 1


def test_the_command_corrects_a_result_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_result(tmp_path / "test.json", result(["我在银航工作", "他加入解放君", "好奇怪的石头"]))
    write_result(tmp_path / "dev.json", result(SAID))
    words = ["text", "correct", "--result", str(tmp_path / "test.json"), "--out", str(tmp_path / "out.json"), "--json"]
    assert main(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["before"] == pytest.approx(2 / 18) and found["after"] == 0
    assert read_result(tmp_path / "out.json").settings["corrected"]["changed"] == 3.0
    assert main([*words, "--dev", str(tmp_path / "dev.json")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["changed"] == 12.0 and found["dev"]["12.0"] == 0  # where nothing is wrong, change least
