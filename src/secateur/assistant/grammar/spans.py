"""Numbers in a row of words, each as a whole: decimals, negatives, digits, English and Mandarin."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .numbers import SMALL, TENS

MOST = 10**9
_DIGIT = {**dict(zip("零一二三四五六七八九", range(10), strict=True)), "〇": 0, "两": 2}
_UNIT = {"十": 10, "百": 100, "千": 1000}
_NUMBER = re.compile(r"\d+(\.\d+)?")
_EN = {word: value for value, word in enumerate(SMALL)} | {word: 10 * i for i, word in enumerate(TENS) if i > 1}
_PARTS = {"half": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "eighth": 8, "tenth": 10}
_MINUS = frozenset({"minus", "negative"})


@dataclass(frozen=True)
class Span:
    """Words up to `end` (not included) are this number."""

    end: int
    value: float

    @property
    def text(self) -> str:
        """As a slot says it.

        >>> Span(1, 5.0).text, Span(3, 3.5).text
        ('5', '3.5')
        """
        return f"{self.value:.9f}".rstrip("0").rstrip(".")


def is_number(word: str) -> bool:
    """Whether a word is part of a number, so that leaving it out or changing it makes another number."""
    return word in _EN or word in _DIGIT or word in _UNIT or word[:1].isdigit() or word in (
        "hundred", "thousand", "million", "point", "half", "minus", "negative", "点", "半", "负", "万", "亿", "percent",
        "百", "quarter", "dozen",
    )  # fmt: skip


def spans(words: Sequence[str], at: int) -> list[Span]:
    """The numbers that begin at word `at`: the longest, and what it is without its fraction or a half after it.

    >>> [s.text for s in spans("three point five plus two".split(), 0)]
    ['3', '3.5']
    >>> [s.text for s in spans(list("一千零一加一"), 0)]
    ['1001']
    >>> [s.text for s in spans("minus two and a half".split(), 0)], [s.text for s in spans(list("负三点五"), 0)]
    (['-2', '-2.5'], ['-3', '-3.5'])
    >>> [s.text for s in spans(list("二分之一"), 0)], [s.text for s in spans("three quarters".split(), 0)]
    (['2', '0.5'], ['3', '0.75'])
    """
    sign, first = 1, at
    if at < len(words) and (words[at] in _MINUS or words[at] == "负"):
        sign, first = -1, at + 1
    whole = _whole(words, first)
    result = []
    if whole is not None:
        result.append(whole)
        half = words[whole.end : whole.end + 3]
        if half[:2] == ["and", "half"] or half == ["and", "a", "half"]:
            result.append(Span(whole.end + len(half[: 2 + (half[1] == "a")]), whole.value + 0.5))
        parts = _parts(words, whole)
        if parts is not None:
            result.append(parts)
    point = whole.end if whole is not None else first
    fraction = _fraction(words, point)
    if fraction is not None and (whole is None or whole.value.is_integer()):
        result.append(Span(fraction.end, (whole.value if whole else 0) + fraction.value))
    return [Span(span.end, sign * span.value) for span in result if span.value <= MOST]


def _parts(words: Sequence[str], whole: Span) -> Span | None:
    """`three quarters`, `one half`; 三分之二."""
    after = words[whole.end : whole.end + 2]
    if after == ["分", "之"] and whole.value > 0:
        above = _whole(words, whole.end + 2)
        return Span(above.end, above.value / whole.value) if above is not None else None
    part = _PARTS.get(after[0].removesuffix("s") if whole.value != 1 else after[0]) if after else None
    return Span(whole.end + 1, whole.value / part) if part is not None and whole.value < part else None


def _fraction(words: Sequence[str], at: int) -> Span | None:
    """`point one four`, `点一四`."""
    if at >= len(words) or words[at] not in ("point", "点"):
        return None
    digits, end = "", at + 1
    while end < len(words):
        word = words[end]
        if word.isdigit():
            digits += word
        elif _EN.get(word, 10) < 10 or word in ("oh", "o"):
            digits += str(_EN.get(word, 0))
        elif word in _DIGIT and word != "两":
            digits += str(_DIGIT[word])
        else:
            break
        end += 1
    follows_unit = end < len(words) and words[end] in _UNIT  # 三点十五: a time of the day
    return Span(end, float("0." + digits)) if digits and not follows_unit else None


def _whole(words: Sequence[str], at: int) -> Span | None:
    if at >= len(words):
        return None
    word = words[at]
    if _NUMBER.fullmatch(word):
        value, end = float(word), at + 1
        while end < len(words) and (
            size := {"hundred": 1e2, "thousand": 1e3, "million": 1e6, "百": 1e2, "千": 1e3, "万": 1e4, "亿": 1e8}.get(
                words[end]
            )
        ):
            value, end = value * size, end + 1
        return Span(end, value)
    if word in _DIGIT or word == "十":
        return _mandarin(words, at)
    return _english(words, at)


def _english(words: Sequence[str], at: int) -> Span | None:
    """`a hundred and five`, `two thousand twenty six`."""
    total = part = 0
    end, i = at, at
    last = 10**12  # what may follow must be smaller: "twenty three", not "three twenty"
    while i < len(words):
        word = words[i]
        after = words[i + 1] if i + 1 < len(words) else ""
        if word in _EN:
            value = _EN[word]
            if value >= last or (last == 10 * (last // 10) and last < 100 and not 0 < value < 10):
                break
            part, last = part + value, (value if value >= 20 else 0)
        elif word == "hundred" and 0 < part < 100:
            part, last = part * 100, 100
        elif word in ("thousand", "million") and part:
            size = 1000 if word == "thousand" else 10**6
            total, part, last = total + part * size, 0, size
        elif word in ("a", "an") and i == at and after in ("hundred", "thousand", "million"):
            part = 1
        elif word == "and" and end > at and last >= 100 and after in _EN:
            i += 1
            continue
        else:
            break
        i += 1
        end = i
    return Span(end, float(total + part)) if end > at else None


def _mandarin(words: Sequence[str], at: int) -> Span | None:
    """`一千零一`, `两百五` (250), `三万`, `二零二六`."""
    end = at
    while end < len(words) and (words[end] in _DIGIT or words[end] in _UNIT or words[end] in ("万", "亿")):
        end += 1
    run = list(words[at:end])
    if all(word in _DIGIT for word in run):
        if len(run) == 1:
            return Span(end, float(_DIGIT[run[0]]))
        # Digit by digit; two beside each other are "two or three".
        if "两" not in run and (len(run) > 2 or _DIGIT[run[0]] == 0 or _DIGIT[run[1]] == 0):
            return Span(end, float("".join(str(_DIGIT[word]) for word in run)))
        return None
    total = section = digit = 0
    size, zero, pending = 10**9, False, False
    for i, word in enumerate(run):
        if word in _DIGIT:
            if pending:
                return None
            digit, pending, zero = _DIGIT[word], _DIGIT[word] != 0, zero or _DIGIT[word] == 0
        elif word in _UNIT:
            if _UNIT[word] >= size or not (pending or (word == "十" and (i == 0 or zero))):
                return None
            section, size, digit, pending, zero = section + (digit or 1) * _UNIT[word], _UNIT[word], 0, False, False
        else:
            if not section + digit or (word == "亿" and size == 10**8):
                return None
            part = section + digit
            total = total + part * 10**4 if word == "万" else (total + part) * 10**8
            section, digit, size, pending, zero = 0, 0, 10**4 if word == "万" else 10**8, False, False
    if pending and not zero and size >= 100 and len(run) > 1 and run[-2] in ("百", "千", "万", "亿"):
        digit *= size // 10  # 两百五, 一万二
    return Span(end, float(total + section + digit))
