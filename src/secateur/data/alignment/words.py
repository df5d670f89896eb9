"""A transcript as words to match, each with its position in the text; and recognised words likewise."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from ...text.languages import by_characters

_WORD = re.compile(r"\S+")


@dataclass(frozen=True)
class TextWord:
    """A word of a transcript, from character `start` up to `end` of it, punctuation included."""

    key: str  # as it is compared
    start: int
    end: int


@dataclass(frozen=True)
class RecognisedWord:
    """A word that a recogniser decoded, with its times."""

    key: str
    start: float  # s
    end: float


def key_of(word: str) -> str:
    """A word as it is compared: letters and digits in lower case, without accents.

    >>> key_of("«Déjà,"), key_of("don't"), key_of("--")
    ('deja', 'dont', '')
    """
    plain = unicodedata.normalize("NFKD", word.casefold())
    return "".join(c for c in plain if c.isalnum())


def text_words(text: str, language: str) -> list[TextWord]:
    """The words of a text (characters, where words are not set apart); signs that stand alone go to the word before."""
    words: list[TextWord] = []
    by_character = by_characters(language)
    for match in _WORD.finditer(text):
        pieces = _characters(match[0]) if by_character else [(0, len(match[0]))]
        for start, end in pieces:
            key = key_of(match[0][start:end])
            if key:
                words.append(TextWord(key, match.start() + start, match.start() + end))
            elif words:
                words[-1] = TextWord(words[-1].key, words[-1].start, match.start() + end)
    return words


def recognised_words(words: Iterable[tuple[str, float, float]], language: str) -> list[RecognisedWord]:
    """Recognised words `(text, start, end)`, cut into characters where the language's texts are."""
    by_character = by_characters(language)
    recognised = []
    for text, start, end in words:
        pieces = [text[a:b] for a, b in _characters(text)] if by_character else [text]
        keys = [key for key in map(key_of, pieces) if key]
        step = (end - start) / max(1, len(keys))
        recognised += [RecognisedWord(key, start + i * step, start + (i + 1) * step) for i, key in enumerate(keys)]
    return recognised


def _characters(word: str) -> list[tuple[int, int]]:
    """Each character beyond Latin by itself; letters and digits of Latin words together."""
    return [(m.start(), m.end()) for m in re.finditer(r"[\u0000-\u024f]+|.[\u0300-\u036f]*", word)]
