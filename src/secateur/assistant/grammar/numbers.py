"""Whole numbers as people say them, in English and Mandarin."""

from __future__ import annotations

from functools import lru_cache

from .words import words_of

SMALL = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
TENS = ("zero", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_DIGITS = "零一二三四五六七八九"
MOST = 10**6  # the largest that a range may have


def english(number: int) -> str:
    """A number from 0 to 9999 in words.

    >>> english(215)
    'two hundred fifteen'
    """
    if number < 20:
        return SMALL[number]
    if number < 100:
        return TENS[number // 10] + (f" {SMALL[number % 10]}" if number % 10 else "")
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


@lru_cache(maxsize=64)
def number_words(first: int, last: int, step: int, language: str) -> tuple[tuple[dict[str, int], bool], ...]:
    """All numbers of a range as one graph of words: a state is (the next state by word, whether a number ends here).

    State 0 is the start. States from which the same goes on are one: a thousand numbers need some fifty states.
    """
    tree: list[tuple[dict[str, int], bool]] = [({}, False)]
    for number in range(first, last + 1, step):
        for way in spoken_ways(number, language):
            at = 0
            for word in words_of(way):
                if word not in tree[at][0]:
                    tree[at][0][word] = len(tree)
                    tree.append(({}, False))
                at = tree[at][0][word]
            tree[at] = (tree[at][0], True)
    same: dict[tuple[tuple[tuple[str, int], ...], bool], int] = {}
    merged = [0] * len(tree)
    for state in range(len(tree) - 1, -1, -1):  # a state comes after the one that leads to it
        following, ends = tree[state]
        key = tuple(sorted((word, merged[to]) for word, to in following.items())), ends
        merged[state] = same.setdefault(key, state)
    kept = sorted(set(merged))
    index = {state: i for i, state in enumerate(kept)}
    return tuple(({word: index[merged[to]] for word, to in tree[state][0].items()}, tree[state][1]) for state in kept)
