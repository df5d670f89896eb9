"""Expected words of Mandarin are written where a text sounds like them, and nowhere else."""

from __future__ import annotations

import pytest

pytest.importorskip("pypinyin")
pytest.importorskip("jieba")

from secateur.text.hotwords import Hotwords


@pytest.mark.parametrize(
    ("words", "text", "written"),
    [
        (["张三丰"], "我认识张三峰先生", "我认识张三丰先生"),
        (["科大讯飞"], "他在科大迅飞工作", "他在科大讯飞工作"),
        (["欧阳娜娜"], "欧阳那那的大提琴", "欧阳娜娜的大提琴"),
        (["陈奕迅"], "我喜欢陈一迅的歌", "我喜欢陈奕迅的歌"),
        (["汤臣一品"], "他住在汤城一品", "他住在汤臣一品"),  # one syllable of the same class
        (["李鸣"], "李名来了", "李鸣来了"),
        (["剪枝"], "先剪知再微调", "先剪枝再微调"),
        (["深度学习", "学习率"], "深度学习的学习律", "深度学习的学习率"),
    ],
)
def test_what_sounds_like_a_word_is_written_as_it(words: list[str], text: str, written: str) -> None:
    assert Hotwords(words).written(text) == written


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["李鸣"], "黎明来了"),  # other tones
        (["黎鸣"], "黎明来了"),  # a word of the dictionary
        (["张三丰"], "张山和李四"),
        (["剪枝"], "我捡了一只猫"),
        (["GPS"], "打开导航"),
        ([], "什么都没有"),
    ],
)
def test_other_text_stays(words: list[str], text: str) -> None:
    assert Hotwords(words).written(text) == text
