"""Chinese words by their sound: jieba's dictionary with its frequencies, read as pypinyin reads it.

The index is by sound classes, in which what accents and noise confuse is the same (zh and z, ang and an), so that one
look-up finds the words that sound like this, and nearly so.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..base.extras import require
from .chinese import EXTRA, HAN, VARIANTS
from .pinyin import NEUTRAL, Syllable, dictionary_tones, parse_syllable, quiet_jieba

LONGEST = 5  # characters of a word
RARE = 3  # words that jieba counted less often are left out
READINGS = 3  # of a single character, the most usual
_MERGED = (("zh", "z"), ("ch", "c"), ("sh", "s"), ("l", "n"))  # initials
_HAN = re.compile(f"[{HAN}]+")


@dataclass(frozen=True)
class Entry:
    """A word and one way to say it."""

    word: str
    sounds: tuple[Syllable, ...]
    rank: int = 0  # of the reading of a single character: 0 is the usual one


def sound_class(syllable: Syllable) -> str:
    """What a syllable is confused within: flat and curled initials, n and l, finals in -n and -ng; tones do not count.

    >>> sound_class(parse_syllable("zhang1")) == sound_class(parse_syllable("zan4"))
    True
    """
    initial = dict(_MERGED).get(syllable.initial, syllable.initial)
    final = syllable.final.removesuffix("g") if syllable.final[-3:] in ("ang", "eng", "ing") else syllable.final
    return initial + final


class Lexicon:
    """Words by sound class; `frequency` says how often a word is met among a million."""

    def __init__(self, counts: Mapping[str, float], entries: Iterable[Entry]) -> None:
        total = max(sum(counts.values()), 1.0)
        self.frequency = {word: 1e6 * count / total for word, count in counts.items()}
        self.index: dict[tuple[str, ...], list[Entry]] = {}
        for entry in entries:
            self.index.setdefault(tuple(map(sound_class, entry.sounds)), []).append(entry)

    def like(self, sounds: Sequence[Syllable]) -> list[Entry]:
        """All words that sound like `sounds`, or nearly so."""
        return self.index.get(tuple(map(sound_class, sounds)), [])


@functools.cache
def general_lexicon() -> Lexicon:
    """The words of jieba's dictionary (about 300,000), each character of it a word, too. Takes seconds, once.

    Raises:
        SecateurError: the extra `zh` is not installed.
    """
    jieba = quiet_jieba()
    jieba.initialize()
    phrases, characters = (getattr(require("pypinyin.constants", EXTRA), n) for n in ("PHRASES_DICT", "PINYIN_DICT"))
    to_tone3 = require("pypinyin.contrib.tone_convert", EXTRA).to_tone3

    @functools.cache
    def parsed(marked: str) -> Syllable:
        return parse_syllable(to_tone3(marked, neutral_tone_with_five=True))

    @functools.cache
    def readings(character: str) -> tuple[Syllable, ...]:
        return tuple(parsed(name) for name in characters.get(ord(character), "").split(",")[:READINGS] if name)

    def entries() -> Iterable[Entry]:
        for word in counts:
            if len(word) == 1:
                yield from (
                    Entry(word, (sound,), 0 if sound.tone == NEUTRAL else rank)
                    for rank, sound in enumerate(readings(word))
                )
            elif word in phrases:
                yield Entry(word, tuple(dictionary_tones(word, [parsed(names[0]) for names in phrases[word]])))
            else:
                sounds = tuple(itertools.chain.from_iterable(readings(c)[:1] for c in word))
                if len(sounds) == len(word):
                    yield Entry(word, tuple(dictionary_tones(word, sounds)))

    counts = {
        word: float(count)
        for word, count in jieba.dt.FREQ.items()
        if len(word) <= LONGEST
        and (count >= RARE or (len(word) == 1 and count))
        and _HAN.fullmatch(word)
        and VARIANTS.isdisjoint(word)
    }
    return Lexicon(counts, entries())


def words_of(text: str) -> list[str]:
    """The Chinese words of a text, as jieba cuts it.

    Raises:
        SecateurError: the extra `zh` is not installed.
    """
    return [word for run in _HAN.findall(text) for word in quiet_jieba().cut(run)]
