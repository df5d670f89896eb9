"""Where lines of subtitles may break: widths in columns, and marks that begin or end none."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec

from ..base.locale import columns
from ..decode.segments import Word
from ..text.chinese import HAN
from ..text.pinyin import quiet_jieba

_HAN = re.compile(f"[{HAN}]")
# What no line begins with, and what none ends with (禁则, GB/T 15834-2011).
CLOSING, OPENING = "，。、；：？！…—）】》」』”’〉％·,.;:?!)]}", "（【《「『“‘〈([{"


def unbroken(words: Sequence[Word]) -> list[Word]:
    """Words of Chinese with their marks: none begins with a closing mark, none ends with an opening one."""
    result: list[Word] = []
    opened = ""
    for word in words:
        text = opened + word.text
        body = text.lstrip(CLOSING) if not text.strip(CLOSING) or wide(text[:1]) else text
        marks, opened = text[: len(text) - len(body)], ""
        if marks and result:
            result[-1] = replace(result[-1], text=result[-1].text + marks, end=max(result[-1].end, word.start))
            text = body
        kept = text.rstrip(OPENING) if wide(text[-1:]) or not text.strip(OPENING) else text
        text, opened = kept, text[len(kept) :]
        if text:
            result.append(replace(word, text=text))
    if opened and result:
        result[-1] = replace(result[-1], text=result[-1].text + opened)
    return result


def whole_words(words: Sequence[Word]) -> list[Word]:
    """Characters of Chinese joined to jieba's words, where that is installed: no line breaks inside of one."""
    text = "".join(word.text for word in words)
    letters = [c for c in text if wide(c) and c.isalnum()]
    if not letters or not all(map(_HAN.match, letters)) or find_spec("jieba") is None:
        return list(words)
    ends = set(itertools.accumulate(map(len, quiet_jieba().cut(text))))
    result: list[Word] = []
    at, within = 0, False
    for word in words:
        if within:
            before = result[-1]
            sure = min(before.confidence, word.confidence)
            result[-1] = Word(before.text + word.text, before.start, word.end, sure)
        else:
            result.append(word)
        at += len(word.text)
        within = at not in ends
    return result


def wide(character: str) -> bool:
    """Whether a character takes two columns."""
    return bool(character) and unicodedata.east_asian_width(character) in "WF"


def pieces(text: str, limit: int) -> list[str]:
    """`text`, or pieces of it that fit a line."""
    if columns(text) <= limit:
        return [text]
    pieces = [""]
    for c in text:
        if pieces[-1] and columns(pieces[-1] + c) > limit:
            last = pieces[-1]
            size = len(last.rstrip(OPENING)) if c not in CLOSING else len(last.rstrip(CLOSING)[:-1].rstrip(OPENING))
            size = size or len(last)  # marks alone
            pieces[-1:] = [last[:size], last[size:]]
        pieces[-1] += c
    return pieces
