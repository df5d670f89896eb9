"""Numbers written back: what is said and how it is written, a table; what is no number stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secateur.base.errors import SecateurError
from secateur.text.chinese_cardinals import cardinal
from secateur.text.english_numbers import english_numbers
from secateur.text.written_numbers import STAYING, mandarin_numbers, number, numbers_written, shown


def table(name: str) -> list[list[str]]:
    lines = Path(__file__).with_name(name).read_text("utf-8").splitlines()
    return [line.split("\t") for line in lines if not line.startswith("#")]


CASES = table("written_numbers.tsv")


def test_the_table_is_large() -> None:
    assert len({text for text, _ in CASES}) == len(CASES) >= 250


@pytest.mark.parametrize(("text", "written"), CASES)
def test_numbers_are_written_as_people_write_them(text: str, written: str) -> None:
    assert mandarin_numbers(text) == written
    assert mandarin_numbers(f"他说，{text}。") == f"他说，{written}。"
    assert mandarin_numbers(written) == written  # what is written stays


@pytest.mark.parametrize("phrase", [phrase for phrase in STAYING if phrase != "十分"])
def test_set_phrases_stay(phrase: str) -> None:
    assert mandarin_numbers(f"他说{phrase}了") == f"他说{phrase}了"


@given(st.integers(10, 10**12 - 1))
def test_every_number_from_ten_on_keeps_its_value(value: int) -> None:
    text = cardinal(str(value))
    assert number(text) == value
    if value >= 10:
        assert mandarin_numbers(f"共{text}人") == f"共{shown(value)}人"


@given(st.text("零一二两三四五六七八九十百千万亿点负第几个年月日号分之比块米度，", max_size=12))
def test_any_numerals_are_written_or_stay(text: str) -> None:
    assert all(c not in mandarin_numbers(text) for c in "{}[]()")


def test_english() -> None:
    said = {
        "twenty five percent": "25%", "it is three point five": "it is 3.5", "one of the two": "one of the two",
        "nineteen eighty four": "1984", "twenty twenty six": "2026", "a hundred people": "100 people",
        "call five five five one two three four": "call 5551234", "three million": "3000000",
        "one hundred and twenty three dollars": "123 dollars",
        "he has one dog and twelve cats": "he has one dog and 12 cats",
    }  # fmt: skip
    said |= dict(table("written_numbers_en.tsv"))
    assert {text: english_numbers(text) for text in said} == said


def test_other_languages_stay_and_unknown_ones_are_errors() -> None:
    assert numbers_written("二十五", "ja") == "二十五" and numbers_written("vingt-cinq", "fr") == "vingt-cinq"
    assert numbers_written("二十五", None) == numbers_written("二十五", "zh-TW") == "25"
    assert numbers_written("twenty five", None) == "25"
    with pytest.raises(SecateurError):
        numbers_written("二十五", "klingonish")
