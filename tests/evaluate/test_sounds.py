"""Pinyin and tone error rates, counted by hand, and where result files carry them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("kaldialign")
pytest.importorskip("pypinyin")
pytest.importorskip("jieba")
pytest.importorskip("opencc")
pytest.importorskip("wetext")

from secateur.data.manifest import Utterance
from secateur.evaluate.result import read_result, write_result
from secateur.evaluate.run import evaluate
from secateur.evaluate.sounds import SoundErrors, sound_errors


@pytest.mark.parametrize(
    ("said", "heard", "expected"),
    [
        ("开灯", "开灯", SoundErrors(0, 0, 0, 2, 2)),
        ("他在家", "她再家", SoundErrors(0, 0, 0, 3, 3)),  # three wrong characters that sound right
        ("买东西", "卖东西", SoundErrors(1, 0, 1, 3, 3)),  # a wrong tone
        ("四点", "十点", SoundErrors(1, 1, 0, 1, 2)),  # a wrong sound
        ("我想听歌", "我听歌吧", SoundErrors(2, 2, 0, 3, 4)),  # one left out, one added
        ("用gps", "用gbs", SoundErrors(1, 1, 0, 1, 2)),
        ("买", "", SoundErrors(1, 1, 0, 0, 1)),
    ],
)
def test_sounds_are_counted_whatever_the_characters(said: str, heard: str, expected: SoundErrors) -> None:
    assert sound_errors(said, heard) == expected


def test_result_files_of_chinese_carry_the_rates(tmp_path: Path) -> None:
    said = {"a": "买东西", "b": "1980年", "c": "開燈"}
    heard = {"a": "卖东西", "b": "一九八零年", "c": "开灯。"}
    clips = [Utterance(n, tmp_path / n, 1.0, text, f"s{n}", "zh") for n, text in said.items()]
    result = evaluate(lambda us: [heard[u.id] for u in us], clips, model="m", data="d", resamples=200)
    assert result.metric == "cer" and result.errors == 1 and result.words == 10
    assert result.sounds is not None
    assert result.sounds.syllables == 10
    assert result.sounds.pinyin == pytest.approx(0.1) and result.sounds.toneless == 0
    assert result.sounds.tone == pytest.approx(0.1)
    assert result.sounds.pinyin_interval[0] <= 0.1 <= result.sounds.pinyin_interval[1]
    write_result(tmp_path / "r.json", result)
    assert read_result(tmp_path / "r.json").sounds == result.sounds
    english = evaluate(lambda us: ["a"] * 3, [replace(u, language="en") for u in clips], model="m", data="d")
    assert english.sounds is None and "sounds" not in english.summary()
