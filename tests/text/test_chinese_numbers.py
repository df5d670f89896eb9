"""Numbers as they are read in Mandarin: a table of forms and readings, and what both sides of an error rate share."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("opencc")
pytest.importorskip("wetext")

from hypothesis import given
from hypothesis import strategies as st

from secateur.text.chinese import normalise_chinese
from secateur.text.chinese_cardinals import by_digit, cardinal
from secateur.text.normalise import normaliser

CASES = [
    line.split("\t")
    for line in Path(__file__).with_name("chinese_numbers.tsv").read_text("utf-8").splitlines()
    if not line.startswith("#")
]


def joined(text: str) -> str:
    return normalise_chinese(text).replace(" ", "")


def test_the_table_is_large() -> None:
    assert len({text for text, _ in CASES}) == len(CASES) >= 300


@pytest.mark.parametrize(("text", "reading"), CASES)
def test_numbers_are_read_as_people_read_them(text: str, reading: str) -> None:
    assert joined(text) == reading.replace(" ", "")
    assert joined(reading) == reading.replace(" ", "")  # what is written in characters stays


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("我98年出生", "我九八年出生"), ("98年5月", "九八年五月"), ("85年的时候", "八五年的时候"),
        ("98年的历史", "九十八年的历史"), ("95年前", "九十五年前"), ("近98年", "近九十八年"), ("90年代", "九十年代"),
        ("N95口罩", "n九五口罩"), ("KN95", "kn九五"), ("AK47", "ak四七"), ("AK-47步枪", "ak四七步枪"),
        ("5G手机", "五g手机"), ("4K电视", "四k电视"), ("G20峰会", "g二十峰会"), ("50年", "五十年"),
    ],
)  # fmt: skip
def test_years_of_two_digits_and_codes(text: str, reading: str) -> None:
    assert joined(text) == reading


def value(text: str) -> int:
    """The number that characters say."""
    total = part = digit = 0
    for c in text:
        if c in "十百千":
            part += (digit or 1) * {"十": 10, "百": 100, "千": 1000}[c]
            digit = 0
        elif c in "万亿":
            if c == "亿":
                total, part = (total + part + digit) * 10**8, 0
            else:
                total, part = total + (part + digit) * 10**4, 0
            digit = 0
        elif c != "零":
            digit = "零一二三四五六七八九".index("二" if c == "两" else c)
    return total + part + digit


@given(st.integers(0, 10**12 - 1))
def test_cardinals_say_their_number(number: int) -> None:
    text = cardinal(str(number))
    assert value(text) == number
    assert "零零" not in text and (number == 0 or not text.endswith("零"))


@given(st.text("0123456789", min_size=1, max_size=20))
def test_digits_keep_their_length(number: str) -> None:
    assert len(by_digit(number)) == len(number)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("二百人", "200人"), ("一千二百元", "1200元"), ("两千两百", "2200"), ("幺三八零零幺三八", "一三八零零一三八"),
        ("百分之五到百分之十", "百分之五到十"), ("b to b", "B2B"), ("甚麼時候", "什么时候"), ("陸小姐", "陆小姐"),
        ("重5kg", "重五公斤"), ("一千五", "1500"), ("一万二", "12000"),
        ("时速120km/h", "时速一百二十公里每小时"), ("3块2毛5", "三块二毛五"),
        ("气温-3℃", "气温零下三摄氏度"), ("2²", "二的平方"), ("100%", "百分百"), ("效果顯著", "效果显著"),
        ("譯著", "译著"), ("9:30-11:00", "九点半到十一点"), ("10:45-12:15", "十点三刻到十二点一刻"),
        ("20°C~25°C", "二十到二十五摄氏度"), ("3km-5km", "三到五公里"), ("廿四节气", "二十四节气"), ("卅年", "三十年"),
        ("¥1,200.50", "一千二百元五角"), ("(021)6543-2100", "零二一六五四三二幺零零"), ("3x5", "三乘五"),
        (">100", "大于一百"), ("≈3", "约等于三"), ("+3.2%", "正百分之三点二"),
    ],
)  # fmt: skip
def test_what_is_equally_right_is_the_same(one: str, other: str) -> None:
    compared = normaliser("zh")
    assert compared(one).replace(" ", "") == compared(other).replace(" ", "")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("二手", "两手"),
        ("瞭望", "了望"),
        ("五卅运动", "五三十运动"),
        ("俩人", "两个人"),
        ("他", "她"),
        ("一次", "两次"),
    ],
)
def test_what_is_said_differently_stays_different(one: str, other: str) -> None:
    assert joined(one) != joined(other)
