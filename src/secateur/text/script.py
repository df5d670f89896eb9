"""Which writing systems a text uses."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable

RARE = 0.001  # of all letters: a name in another script does not make a text of that script


def script(character: str) -> str | None:
    """The writing system of a letter, as Unicode names it; None for digits, signs and spaces.

    >>> script("开"), script("é"), script("の"), script("7")
    ('CJK', 'LATIN', 'HIRAGANA', None)
    """
    if not character.isalpha():
        return None
    return unicodedata.name(character, "UNKNOWN").split()[0].split("-")[0]


def scripts_of(texts: Iterable[str]) -> frozenset[str]:
    """The writing systems that have at least `RARE` of the letters of all texts."""
    letters = Counter(character for text in texts for character in text)
    counts: Counter[str] = Counter()
    for character, count in letters.items():
        name = script(character)
        if name is not None:
            counts[name] += count
    return frozenset(name for name, count in counts.items() if count >= RARE * counts.total())
