"""Whole numbers as people say them, in English and Mandarin, and back."""

from __future__ import annotations

_SMALL = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("zero", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_DIGITS = "零一二三四五六七八九"
MOST = 9999


def english(number: int) -> str:
    """A number from 0 to 9999 in words.

    >>> english(215)
    'two hundred fifteen'
    """
    if number < 20:
        return _SMALL[number]
    if number < 100:
        return _TENS[number // 10] + (f" {_SMALL[number % 10]}" if number % 10 else "")
    for size, name in ((1000, "thousand"), (100, "hundred")):
        if number >= size:
            rest = number % size
            return f"{english(number // size)} {name}" + (f" {english(rest)}" if rest else "")
    raise AssertionError


def mandarin(number: int) -> str:
    """A number from 0 to 9999 in characters.

    >>> mandarin(15), mandarin(120), mandarin(105)
    ('十五', '一百二十', '一百零五')
    """
    if number < 10:
        return _DIGITS[number]
    if number < 20:
        return "十" + (_DIGITS[number % 10] if number % 10 else "")
    for size, name in ((1000, "千"), (100, "百"), (10, "十")):
        if number >= size:
            rest = number % size
            gap = "零" if 0 < rest < size // 10 else ""
            tail = ("一" if 10 <= rest < 20 and size > 10 else "") + mandarin(rest) if rest else ""
            return f"{_DIGITS[number // size]}{name}{gap}{tail}"
    raise AssertionError


def spoken_ways(number: int, language: str) -> list[str]:
    """Every way a number is said or written.

    >>> spoken_ways(115, "en")
    ['115', 'one hundred fifteen', 'one hundred and fifteen', 'a hundred fifteen', 'a hundred and fifteen']
    """
    if language.startswith("zh"):
        return list(dict.fromkeys([str(number), mandarin(number), *(["两"] if number == 2 else [])]))
    words = english(number)
    ways = [words]
    if "hundred " in words:
        ways.append(words.replace("hundred ", "hundred and "))
    ways += ["a " + way[4:] for way in ways if way.startswith(("one hundred", "one thousand"))]
    return [str(number), *ways]
