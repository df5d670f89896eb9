"""Expected words in Mandarin text: what sounds like one of them, and is no word itself, is written as it.

A prompt makes expected words likelier; a name that was recognised by its sound alone, 张三峰 for 张三丰, still has to
be written right. Words of three characters and more replace what sounds like them but for tones and one
syllable of the same class (zh and z, ang and an); words of two characters only what has their very sounds and
is no word of the dictionary.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .by_sound import BySound
from .chinese import HAN
from .lexicon import sound_class
from .pinyin import Syllable, syllables
from .word_model import WordModel

_HAN = re.compile(f"[{HAN}]+")


class Hotwords:
    """Writes `words` where a text has their sound."""

    def __init__(self, words: Sequence[str]) -> None:
        chinese = sorted({w for w in words if _HAN.fullmatch(w) and len(w) > 1}, key=lambda w: (-len(w), w))
        self.words = [(word, _sounds(word)) for word in chinese]
        self._known = BySound(WordModel()) if self.words else None

    def written(self, text: str) -> str:
        """`text` with expected words in place of what sounds like them; its length stays."""
        return _HAN.sub(lambda run: self._run(run[0]), text) if self.words else text

    def _run(self, run: str) -> str:
        sounds, result, at = _sounds(run), "", 0
        if len(sounds) != len(run):
            return run
        while at < len(run):
            word = next((w for w, s in self.words if self._fits(run, sounds, at, w, s)), None)
            result += word or run[at]
            at += len(word) if word else 1
        return result

    def _fits(self, run: str, sounds: Sequence[Syllable], at: int, word: str, wanted: Sequence[Syllable]) -> bool:
        here, size = run[at : at + len(word)], len(word)
        if len(here) < size or len(wanted) != size:
            return False
        if here == word:
            return True
        pairs = list(zip(sounds[at : at + size], wanted, strict=True))
        if size == 2:
            assert self._known is not None
            return all(a.numbered == b.numbered for a, b in pairs) and here not in self._known
        unlike = [(a, b) for a, b in pairs if a.sound != b.sound]
        return len(unlike) <= 1 and all(sound_class(a) == sound_class(b) for a, b in unlike)


def _sounds(text: str) -> list[Syllable]:
    return [s for s in syllables(text) if isinstance(s, Syllable)]
