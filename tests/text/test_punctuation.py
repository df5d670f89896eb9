"""Marks restored in Mandarin: questions, clauses, pauses; what has marks stays."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("jieba")

from secateur.text.punctuation import has_marks, punctuated

QUESTIONS = [
    "你叫什么名字", "现在几点了", "你明天来不来", "这是谁的书", "你吃饭了吗", "我们什么时候出发", "这个多少钱",
    "你为什么不去", "他是不是老师",
    "去火车站怎么走", "有没有便宜一点的", "你想喝点什么", "他到底在哪里", "可不可以便宜一点",
]  # fmt: skip
STATEMENTS = [
    "今天天气很好", "我不知道他是谁", "他告诉我什么时候出发", "没什么关系", "我去过几个月", "谁都不想去",
    "他什么都不吃", "无论怎么样我都去", "我昨天买了一本书",
]  # fmt: skip
QUESTIONS += ["你喜欢红色还是蓝色", "他喝茶还是喝咖啡", "难道他走了", "你最近有什么计划"]
STATEMENTS += ["我想了想还是算了", "你还是走吧", "他们还是朋友", "今天没有什么事", "我没有什么安排", "我还是喜欢你"]


@pytest.mark.parametrize("text", QUESTIONS)
def test_questions_end_with_their_mark(text: str) -> None:
    assert punctuated(text).endswith("？") and re.sub("[，。？、]", "", punctuated(text)) == text


@pytest.mark.parametrize("text", STATEMENTS)
def test_statements_end_with_a_full_stop(text: str) -> None:
    assert punctuated(text).endswith("。") and re.sub("[，。？、]", "", punctuated(text)) == text


def test_clauses_are_parted() -> None:
    assert punctuated("因为今天下雨所以我们没有去公园") == "因为今天下雨，所以我们没有去公园。"
    assert "，但" in punctuated("他很努力地学习了一年但是没有通过考试")


def test_a_pause_makes_a_mark_likelier() -> None:
    text = "我昨天去了北京他今天去了上海"
    assert punctuated(text, {7: 1.2})[7] in "，。"


def test_what_has_marks_or_no_chinese_stays() -> None:
    for text in ("你好，世界", "他说：好", "hello there", "123", "", "  "):
        assert punctuated(text) == text.strip()
    assert has_marks("一，二") and not has_marks("一二。")
    assert punctuated("你好吗？") == "你好吗？" and punctuated("太好了！") == "太好了！"


def test_half_width_marks_between_chinese_characters_become_full_width() -> None:
    texts = {
        "王育害怕出使,假托做梦": "王育害怕出使，假托做梦", "他走了. 你呢?": "他走了。你呢？", "你好吗?": "你好吗？",
        "时间是8:30,价格3.5元": "时间是8:30，价格3.5元", "用GPS, Wi-Fi": "用GPS, Wi-Fi",
    }  # fmt: skip
    assert {text: punctuated(text) for text in texts} == texts


def test_characters_and_latin_words_are_kept() -> None:
    text = "我用GPS找到了那家Starbucks然后喝了一杯coffee"
    assert re.sub("[，。？、]", "", punctuated(text)) == text
