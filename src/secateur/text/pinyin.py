"""Characters as sounds: pinyin with tones, heteronyms read by their context.

Words are cut by jieba, with their part of speech; a word that pypinyin's dictionary of phrases knows is read as there,
one that it lacks piece by piece, and single characters whose reading follows from their part of speech by `READINGS`.
"""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from ..base.extras import require
from .chinese import EXTRA, HAN

INITIALS = ("zh", "ch", "sh", *"bpmfdtnlgkhjqxrzcsyw")
NEUTRAL = 5
# (character, part of speech in jieba's letters) -> reading, where the dictionary's first one would be wrong.
READINGS = {
    ("地", "uv"): "de5", ("得", "ud"): "de5", ("得", "v"): "dei3", ("着", "uz"): "zhe5", ("了", "ul"): "le5",
    ("还", "d"): "hai2", ("还", "v"): "huan2", ("都", "d"): "dou1", ("为", "p"): "wei4", ("长", "a"): "chang2",
    ("长", "v"): "zhang3", ("种", "v"): "zhong4", ("数", "v"): "shu3", ("教", "v"): "jiao1", ("发", "n"): "fa4",
}  # fmt: skip
_RUNS = re.compile(rf"[{HAN}]+|[^\W{HAN}]+")
_VOWELS = {"a": "āáǎàa", "e": "ēéěèe", "i": "īíǐìi", "o": "ōóǒòo", "u": "ūúǔùu", "v": "ǖǘǚǜü"}


@dataclass(frozen=True)
class Syllable:
    """One character's sound: `initial` (may be empty), `final` with v for ü, `tone` 1 to 4, 5 for none."""

    initial: str
    final: str
    tone: int

    @property
    def sound(self) -> str:
        """Without tone."""
        return self.initial + self.final

    @property
    def numbered(self) -> str:
        """With the tone as a number."""
        return f"{self.sound}{self.tone}"

    @property
    def marked(self) -> str:
        """With the tone over its vowel: a or e, the o of ou, else the last one."""
        at = next((i for i, c in enumerate(self.final) if c in "ae"), self.final.find("ou"))
        if at < 0:
            at = max((i for i, c in enumerate(self.final) if c in _VOWELS), default=-1)
        final = [_VOWELS[c][self.tone - 1] if i == at else c for i, c in enumerate(self.final)]
        return (self.initial + "".join(final)).replace("v", "ü")


def parse_syllable(numbered: str) -> Syllable:
    """`zhong4` taken apart; without a number the tone is the neutral one.

    >>> parse_syllable("zhong4")
    Syllable(initial='zh', final='ong', tone=4)
    """
    sound, tone = (numbered[:-1], int(numbered[-1])) if numbered[-1:].isdigit() else (numbered, NEUTRAL)
    # Interjections (n, ng, m, hm) are finals without a vowel.
    initial = next((i for i in INITIALS if sound.startswith(i) and set(sound[len(i) :]) & set(_VOWELS)), "")
    return Syllable(initial, sound[len(initial) :], tone)


@functools.lru_cache(maxsize=20000)
def syllables(text: str) -> tuple[Syllable | str, ...]:
    """What `text` sounds like: a syllable for every Chinese character, other words as they are, no punctuation.

    Digits are words like any other: `chinese.spoken` reads them before.

    Raises:
        SecateurError: the extra `zh` is not installed.
    """
    found: list[Syllable | str] = []
    for run in _RUNS.findall(text):
        if re.match(f"[{HAN}]", run):
            found += [parse_syllable(name) for name in _read(run)]
        else:
            found.append(run)
    return tuple(found)


Form = Callable[[Syllable], str]
FORMS: dict[str, Form] = {
    "numbers": lambda s: s.numbered,  # ni3 hao3
    "plain": lambda s: s.sound,  # ni hao
    "parts": lambda s: f"{s.initial} {s.final}{s.tone}".strip(),  # n i3 h ao3
    "marks": lambda s: s.marked,  # nǐ hǎo
}


def pinyin(text: str, form: str = "numbers") -> str:
    """The pinyin of `text`, syllables separated by spaces, in one of `FORMS`.

    Raises:
        SecateurError: the extra `zh` is not installed.
    """
    write = FORMS[form]
    return " ".join(write(s) if isinstance(s, Syllable) else s for s in syllables(text))


def _read(run: str) -> Iterator[str]:
    """The readings of a run of Chinese characters, one each."""
    cut, phrases, lazy = _tools()
    for word, flag in cut(run):
        single = READINGS.get((word, flag))
        if single is not None:
            yield single
        else:
            yield from lazy([word] if word in phrases else word)


@functools.cache
def quiet_jieba() -> ModuleType:
    """jieba, which would announce on standard error that it reads its dictionary.

    Raises:
        SecateurError: it is not installed.
    """
    jieba = require("jieba", EXTRA)
    jieba.setLogLevel(logging.WARNING)
    return jieba


@functools.cache
def _tools() -> tuple[Callable[[str], Any], Any, Callable[[Any], list[str]]]:
    """jieba's tagging cutter, pypinyin's phrases, and its reader."""
    library = require("pypinyin", EXTRA)
    quiet_jieba()
    posseg = require("jieba.posseg", EXTRA)
    phrases = require("pypinyin.constants", EXTRA).PHRASES_DICT
    read = functools.partial(
        library.lazy_pinyin, style=library.Style.TONE3, neutral_tone_with_five=True, errors=_unread
    )
    return posseg.cut, phrases, read


def _unread(run: str) -> list[str]:
    """Characters without a known reading stay as they are, one each."""
    return list(run)
