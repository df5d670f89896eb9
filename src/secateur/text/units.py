"""What a CTC model writes: characters, phones, pieces of words or pinyin, behind one contract. Number 0 is the blank.

An inventory is one JSON file beside the weights; it is used alike by training, evaluation, export and the runtime.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from ..base.errors import SecateurError, nearest, several
from ..base.files import read_json, write_json
from ..base.options import from_dict, to_dict
from .chinese import normalise_chinese
from .languages import base_language
from .normalise import normaliser, spoken

Kind = Literal["characters", "phones", "pieces", "pinyin"]
KINDS: tuple[Kind, ...] = ("characters", "phones", "pieces", "pinyin")


class Inventory(Protocol):
    """Units of any kind, in the order of the network's outputs, blank left out: unit i is output i + 1."""

    @property
    def language(self) -> str:
        """The language of the texts."""

    @property
    def outputs(self) -> int:
        """Rows of the network's output, the blank's included."""

    @property
    def boundary(self) -> int | None:
        """The output that separates two words, or None when units themselves say that they begin one (`begins`)."""

    def begins(self) -> list[bool]:
        """For every output, the blank's included: whether it begins a word, where nothing separates words."""

    def spellings(self, word: str) -> list[tuple[int, ...]]:
        """The ways to say one word, as outputs, without boundaries; none when it cannot be said."""

    def encode(self, text: str) -> list[int]:
        """Outputs of a text."""

    def decode(self, ids: Iterable[int]) -> str:
        """The text of outputs without blanks."""

    def write(self, path: Path) -> None:
        """Store as JSON, atomically."""


@dataclass(frozen=True)
class Units:
    """Characters. Texts are spelled as they are spoken (`spoken`), or as error rates compare them (`normalised`).

    Characters that the inventory lacks are passed over.
    """

    characters: tuple[str, ...]
    language: str = "en"
    spelling: Literal["spoken", "normalised"] = "normalised"
    kind: Kind = "characters"

    def __post_init__(self) -> None:
        if len(set(self.characters)) != len(self.characters) or any(len(c) != 1 for c in self.characters):
            raise ValueError("characters must be single and different")

    @property
    def outputs(self) -> int:
        """See `Inventory`."""
        return len(self.characters) + 1

    @property
    def boundary(self) -> int | None:
        """The space, where there is one."""
        return self.characters.index(" ") + 1 if " " in self.characters else None

    def begins(self) -> list[bool]:
        """Without spaces between words (Chinese) every character may be a word."""
        return [False] + [self.boundary is None] * len(self.characters)

    def spellings(self, word: str) -> list[tuple[int, ...]]:
        """The one spelling, when all its characters are known."""
        number = {c: i for i, c in enumerate(self.characters, 1)}
        return [tuple(number[c] for c in word)] if word and all(c in number for c in word) else []

    def encode(self, text: str) -> list[int]:
        """Output numbers of a text.

        >>> Units((" ", "a", "b"), spelling="spoken").encode("A, bab!")
        [2, 1, 3, 2, 3]
        """
        number = {c: i for i, c in enumerate(self.characters, 1)}
        return [number[c] for c in _speller(self.language, self.spelling)(text) if c in number]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of output numbers without blanks."""
        return "".join(self.characters[i - 1] for i in ids).strip()

    def write(self, path: Path) -> None:
        """Store as JSON, atomically."""
        write_json(path, to_dict(self))

    @classmethod
    def read(cls, path: Path) -> Units:
        """The inventory in a file.

        Raises:
            SecateurError: missing, an unknown key (with the nearest), or another kind of units.
        """
        units = from_dict(cls, read_json(path), str(path))
        if units.kind != "characters":
            raise SecateurError(f"{path}: these units are {units.kind}, not characters")
        return units


def characters_of(texts: Iterable[str], language: str = "en") -> Units:
    """The inventory of all characters that the words of `texts` are spelled with.

    Raises:
        SecateurError: there are none.
    """
    spell = _speller(language, "spoken")
    result = tuple(sorted({c for text in several("characters_of", texts) for c in spell(text)}))
    if not result:
        raise SecateurError("no text to take characters from")
    return Units(result, language, "spoken")


def make_units(kind: str, texts: Iterable[str], language: str = "en", count: int = 256) -> Inventory:
    """An inventory of a kind for `texts`; `count` is the number of pieces.

    Raises:
        SecateurError: an unknown kind, no text, or what the kind needs is not installed.
    """
    several("make_units", texts)
    if kind == "characters":
        return characters_of(texts, language)
    if kind == "phones":
        from .phones import phones_of

        return phones_of(texts, language)
    if kind == "pieces":
        from .pieces import pieces_of

        return pieces_of(texts, count, language)
    if kind == "pinyin":
        from .pinyin_units import pinyin_writer

        return pinyin_writer(list(texts))
    raise SecateurError(f"no units '{kind}'{nearest(kind, KINDS)} (known: {', '.join(KINDS)})")


def read_units(path: Path) -> Inventory:
    """The inventory of any kind in a file.

    Raises:
        SecateurError: missing, not an inventory, an unknown kind or key (with the nearest).
    """
    values = read_json(path)
    kind = values.get("kind", "characters") if isinstance(values, dict) else "characters"
    if kind == "characters":
        return Units.read(path)
    if kind == "phones":
        from .phones import Phones

        return from_dict(Phones, values, str(path))
    if kind == "pieces":
        from .pieces import Pieces

        return from_dict(Pieces, values, str(path))
    if kind == "pinyin":
        from .pinyin_units import PinyinUnits

        return PinyinUnits.read(path)
    if kind == "tokens":
        from .tokenizer_units import VocabularyUnits

        return from_dict(VocabularyUnits, values, str(path))
    if kind == "tokenizer":
        from .tokenizer_units import TokenizerUnits

        return from_dict(TokenizerUnits, values, str(path))
    raise SecateurError(f"{path}: units of the kind '{kind}' are not known here{nearest(str(kind), KINDS)}")


def _speller(language: str, spelling: str) -> Callable[[str], str]:
    if base_language(language) == "zh":  # numbers as they are read, no spaces where there are no words
        return lambda text: "".join(normalise_chinese(text).split())
    return spoken if spelling == "spoken" else normaliser(language)
