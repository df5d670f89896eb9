"""Characters as sounds: pinyin with tones, heteronyms read by their context.

Words are cut by jieba, with their part of speech; a word that pypinyin's dictionary of phrases knows is read as there,
one that it lacks piece by piece, single characters whose reading follows from their part of speech by `READINGS`, and
what neighbours or a surname decide by `polyphones`.

Tones are the dictionary's, one for a character in one reading: 一 is yi1 and 不 bu4 anywhere. Only particles (的 地
得 着 了 吗 呢 吧 ...), the suffixes 们, 子 and 么, and doubled names of kin have the neutral tone; every other syllable
has its full tone (朋友 peng2 you3). With `tones="spoken"` they are as they sound beside each other: 一 and
不 before a fourth tone rise, 一 before others falls, both are neutral within 看一看 and 好不好, and a third tone
before another rises.
"""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any, Literal

from ..base.extras import require
from .chinese import EXTRA, HAN
from .polyphone_model import read_by_model
from .polyphones import FULL_ZI, PHRASES, SELDOM, SURNAMES, beside, has_rules, places, surname

INITIALS = ("zh", "ch", "sh", *"bpmfdtnlgkhjqxrzcsyw")
NEUTRAL = 5
Polyphones = Literal["rules", "model"]
# (character, part of speech in jieba's letters) -> reading, where the dictionary's first one would be wrong.
READINGS = {
    ("地", "uv"): "de5", ("得", "ud"): "de5", ("得", "v"): "dei3", ("着", "uz"): "zhe5", ("了", "ul"): "le5",
    ("还", "d"): "hai2", ("还", "v"): "huan2", ("都", "d"): "dou1", ("为", "p"): "wei4", ("长", "a"): "chang2",
    ("长", "v"): "zhang3", ("种", "v"): "zhong4", ("数", "v"): "shu3", ("教", "v"): "jiao1", ("发", "n"): "fa4",
}  # fmt: skip
NEUTRAL_ONES = frozenset("的地得着了吗呢吧嘛啦呀哇么们子啊喽咯呗")
KIN = frozenset("爸妈哥姐弟妹爷奶叔舅姑伯婶公婆姨")
DIGITS = "零一二三四五六七八九十百千万亿"
NUMBERED = "第初周" + DIGITS
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
        """The syllable without its tone."""
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
def syllables(text: str, polyphones: Polyphones = "rules") -> tuple[Syllable | str, ...]:
    """What `text` sounds like: a syllable for every Chinese character, other words as they are, no punctuation.

    Digits are words like any other: `chinese.spoken` reads them before. `polyphones` "model": what neither a rule nor
    the dictionary of phrases decides is read by a network (`polyphone_model`).

    Raises:
        SecateurError: the extra `zh`, or for the model `polyphones`, is not installed.
    """
    result: list[Syllable | str] = []
    for run in _RUNS.findall(text):
        if re.match(f"[{HAN}]", run):
            result += dictionary_tones(run, [parse_syllable(name) for name in _read(run, polyphones)])
        else:
            result.append(run)
    return tuple(result)


def dictionary_tones(text: str, sounds: Sequence[Syllable]) -> list[Syllable]:
    """One syllable a character with the tones that the module describes, whatever a list of phrases had them as."""
    if len(sounds) != len(text):
        return list(sounds)
    result = []
    for i, (character, sound) in enumerate(zip(text, sounds, strict=True)):
        if character == "一" and sound.sound == "yi":
            sound = replace(sound, tone=1)
        elif character == "不" and sound.sound == "bu":
            sound = replace(sound, tone=4)
        elif sound.tone == NEUTRAL and character not in NEUTRAL_ONES:
            if not (character in KIN and i and text[i - 1] == character):
                sound = replace(sound, tone=_full_tone(character, sound.sound))
        elif (character in KIN and i and text[i - 1] == character) or character == "们":
            sound = replace(sound, tone=NEUTRAL)
        result.append(sound)
    return result


@functools.lru_cache(maxsize=5000)
def _full_tone(character: str, sound: str) -> int:
    """The tone of `character` read as `sound` when it is stressed; the neutral one if it has no other."""
    library = require("pypinyin", EXTRA)
    readings = library.pinyin(character, style=library.Style.TONE3, heteronym=True, neutral_tone_with_five=True)[0]
    tones = [one.tone for one in map(parse_syllable, readings) if one.sound == sound and one.tone != NEUTRAL]
    return tones[0] if tones else NEUTRAL


def spoken_tones(text: str, sounds: Sequence[Syllable]) -> list[Syllable]:
    """Dictionary tones as they are spoken beside each other: sandhi of 一, 不 and the third tone, word by word.

    >>> [s.tone for s in spoken_tones("一个", [parse_syllable("yi1"), parse_syllable("ge4")])]
    [2, 4]
    """
    if len(sounds) != len(text):
        return list(sounds)
    result = list(sounds)
    for i, character in enumerate(text[:-1]):
        after, last = result[i + 1].tone, text[i - 1 : i]
        if character == "不" and result[i].sound == "bu" and after == 4:
            result[i] = replace(result[i], tone=2)
        counts = last in tuple(NUMBERED) or text[i + 1] in DIGITS + "月号日"
        if character == "一" and result[i].sound == "yi" and after != NEUTRAL and not counts:
            result[i] = replace(result[i], tone=2 if after == 4 else 4)
        if character in "一不" and last == text[i + 1] and not counts:  # 看一看, 好不好
            result[i] = replace(result[i], tone=NEUTRAL)
    for first, end in _words_at(text):
        for i in range(first, end - 1):
            if result[i].tone == 3 and sounds[i + 1].tone == 3:
                result[i] = replace(result[i], tone=2)
        if end < len(text) and result[end - 1].tone == 3 and sounds[end].tone == 3 and end - first == 1:
            result[end - 1] = replace(result[end - 1], tone=2)
    return result


def _words_at(text: str) -> Iterator[tuple[int, int]]:
    at = 0
    for word in quiet_jieba().cut(text):
        yield at, at + len(word)
        at += len(word)


Form = Callable[[Syllable], str]
FORMS: dict[str, Form] = {
    "numbers": lambda s: s.numbered,  # ni3 hao3
    "plain": lambda s: s.sound,  # ni hao
    "parts": lambda s: f"{s.initial} {s.final}{s.tone}".strip(),  # n i3 h ao3
    "marks": lambda s: s.marked,  # nǐ hǎo
}


def pinyin(text: str, form: str = "numbers", tones: str = "dictionary", polyphones: Polyphones = "rules") -> str:
    """The pinyin of `text`, syllables separated by spaces, in one of `FORMS`, with "dictionary" or "spoken" tones.

    Raises:
        SecateurError: the extra `zh` is not installed.
    """
    write = FORMS[form]
    result: list[str] = []
    for run in _RUNS.findall(text):
        sounds = syllables(run, polyphones)
        if tones == "spoken" and all(isinstance(s, Syllable) for s in sounds):
            sounds = tuple(spoken_tones(run, [s for s in sounds if isinstance(s, Syllable)]))
        result += [write(s) if isinstance(s, Syllable) else s for s in sounds]
    return " ".join(result)


def _read(run: str, polyphones: Polyphones) -> Iterator[str]:
    """The readings of a run of Chinese characters, one each."""
    cut, phrases, lazy = _tools()
    read = read_by_model(run) if polyphones == "model" else None
    at = 0
    words = [(one.word, one.flag) for one in cut(run)]
    named = places(run, [len(word) for word, _ in words])
    for word, flag in words:
        single = READINGS.get((word, flag))
        own = PHRASES.get(word)
        names = [single] if single is not None else own.split() if own else lazy([word] if word in phrases else word)
        # jieba takes many a word for a name: what the dictionary knows, whole or without its first character, is none.
        known = word[1:] in phrases or (word in phrases and len(word) == 2)
        person = flag in ("nr", "nrt", "nrfg") and len(word) > 1 + (word[0] in SELDOM) and not known
        if len(names) == len(word):
            family = surname(run, at, person)
            if "姓" in word[:-1] and word[word.index("姓") + 1] in SURNAMES:
                names[word.index("姓") + 1] = SURNAMES[word[word.index("姓") + 1]]
            elif family is not None and not own:
                names[0] = family
            elif not own and (word not in phrases or len(word) == 1 or word[0] == "一"):  # others are as there
                names = [
                    beside(run, at + i) or (name if read is None or single or has_rules(run[at + i]) else read[at + i])
                    for i, name in enumerate(names)
                ]
            if not own:
                names = _known_within(word, names, single=word not in phrases or len(word) < 4)
        yield from (named.get(at + i, name) for i, name in enumerate(names))
        at += len(word)


def _known_within(word: str, names: list[str], single: bool) -> list[str]:
    """With the readings of `PHRASES` inside a longer word (肚子疼), and 子 as a suffix or not where `single`."""
    names = list(names)
    for at in range(len(word)):
        for size in range(2, min(len(word) - at, 4) + 1):
            if size < len(word) and word[at : at + size] in PHRASES:
                names[at : at + size] = PHRASES[word[at : at + size]].split()
        if single and word[at] == "子" and at and names[at][:-1] == "zi" and word[at - 1 : at + 1] not in PHRASES:
            names[at] = "zi3" if word[at - 1] in FULL_ZI else "zi5"
    return names


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
