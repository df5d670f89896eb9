"""What a language is written with: its writing systems, and for Latin ones its letters beyond a to z.

Writing systems as Unicode names them (the first word of a character's name, Unicode Standard chapter 4.8); letters as
in the main and auxiliary exemplar sets of Unicode CLDR. The table `alphabets.tsv` is written by
`tools/make_alphabets.py`; it has all of Whisper's languages and most others of `languages.tsv`.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..base.errors import SecateurError, nearest, several

TABLE = Path(__file__).with_name("alphabets.tsv")
DANDAS = "\u0964\u0965"  # the full stops of most Indian scripts, named after Devanagari
PLAIN = "abcdefghijklmnopqrstuvwxyz"
LOANED = "äçèéñöü"  # in names and loanwords of any language in Latin letters, whether CLDR lists them or not


RARE = 0.001  # of all letters: a name in another script does not make a text of that script


@dataclass(frozen=True)
class Alphabet:
    """Letters that a text may have: every one of `scripts`, and `letters`, one by one. Digits and signs are in any."""

    scripts: frozenset[str]
    letters: frozenset[str]

    def has(self, character: str) -> bool:
        """Whether a text in this alphabet may have the character."""
        word = writing_system(character)
        return word is None or word in self.scripts or character in self.letters


@cache
def written_with() -> dict[str, tuple[tuple[str, ...], str]]:
    """Scripts, and Latin letters beyond a to z, by the language's code."""
    table = {}
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            code, names, letters = line.split("\t")
            table[code] = (tuple(names.split()), letters)
    return table


@cache
def scripts() -> frozenset[str]:
    """All writing systems of the table."""
    return frozenset(name for names, _ in written_with().values() for name in names)


@cache
def writing_system(character: str) -> str | None:
    """The writing system of a letter, mark or digit; None for what all of them share.

    >>> writing_system("ή"), writing_system("ั"), writing_system("५"), writing_system("5"), writing_system("!")
    ('GREEK', 'THAI', 'DEVANAGARI', None, None)
    """
    word = _first_word(character)
    if word in scripts() and character not in DANDAS:
        return word
    # COMBINING marks, DIGITs, SUPERSCRIPTs and the like are nobody's; letters of a system not listed are their own.
    shared = word in ("MODIFIER", "FULLWIDTH", "HALFWIDTH", "IDEOGRAPHIC", "FEMININE", "MASCULINE", "MICRO", "OHM")
    return word if unicodedata.category(character)[0] == "L" and not shared else None


def alphabet_of(languages: Iterable[str]) -> Alphabet:
    """What texts in all of `languages` (codes) may have.

    Raises:
        SecateurError: a language whose alphabet is not known here.
    """
    names: set[str] = set()
    letters: set[str] = set()
    known = written_with()
    for code in several("alphabet_of", languages):
        if code not in known:
            raise SecateurError(
                f"no alphabet is known of the language '{code}'{nearest(code, known)}; name its letters: "
                "--prune.vocabulary alphabet:LETTERS"
            )
        systems, beyond = known[code]
        names |= set(systems)
        if "LATIN" in systems:
            letters |= letters_of(PLAIN + LOANED + beyond)
    return Alphabet(frozenset(names - {"LATIN"}), frozenset(letters))


def letters_of(text: str) -> set[str]:
    """The letters of a text in both cases, composed and decomposed."""
    both = text + text.upper() + text.lower() + text.title()
    return {c for form in ("NFC", "NFD", "NFKC") for c in unicodedata.normalize(form, both) if not c.isspace()}


def spells(alphabet: Alphabet) -> Callable[[bytes], bool]:
    """Whether a text in the alphabet may have these UTF-8 bytes: its characters, or pieces of one at either end.

    A piece of a character says little of what it becomes (signs, emoji, letters): it stays in any alphabet.
    """

    def check(piece: bytes) -> bool:
        start = next((i for i, byte in enumerate(piece) if byte & 0xC0 != 0x80), len(piece))
        return all(map(alphabet.has, piece[start:].decode(errors="ignore")))

    return check


def script(character: str) -> str | None:
    """The writing system of a letter, as Unicode names it; None for digits, signs and spaces.

    >>> script("开"), script("é"), script("の"), script("7")
    ('CJK', 'LATIN', 'HIRAGANA', None)
    """
    if not character.isalpha():
        return None
    return _first_word(character)


def _first_word(character: str) -> str:
    """Of a character's Unicode name, which begins with its writing system."""
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
