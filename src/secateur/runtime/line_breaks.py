"""Where lines of subtitles may break: widths in columns, and marks that begin or end none."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import replace

from ..base.locale import columns
from ..decode.segments import Word

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
