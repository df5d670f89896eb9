"""What a CTC model writes: an inventory of characters. Number 0 is the blank, which no text has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..base.errors import SecateurError
from ..base.files import read_json, write_json
from ..base.options import from_dict, to_dict
from .normalise import normaliser


@dataclass(frozen=True)
class Units:
    """The characters in the order of the network's outputs, blank left out: character i is output i + 1.

    Texts are normalised as error rates are (Whisper's normaliser of `language`) before they are spelled; characters
    that the inventory lacks are passed over.
    """

    characters: tuple[str, ...]
    language: str = "en"
    kind: str = "characters"

    def __post_init__(self) -> None:
        if len(set(self.characters)) != len(self.characters) or any(len(c) != 1 for c in self.characters):
            raise ValueError("characters must be single and different")

    @property
    def outputs(self) -> int:
        """Rows of the network's output, the blank's included."""
        return len(self.characters) + 1

    def encode(self, text: str) -> list[int]:
        """Output numbers of a text.

        >>> Units((" ", "a", "b")).encode("A, bab!")
        [2, 1, 3, 2, 3]
        """
        number = {c: i for i, c in enumerate(self.characters, 1)}
        return [number[c] for c in normaliser(self.language)(text) if c in number]

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
            raise SecateurError(f"{path}: units of the kind '{units.kind}' are not known here (known: characters)")
        return units


def characters_of(texts: Iterable[str], language: str = "en") -> Units:
    """The inventory of all characters that normalised `texts` have.

    Raises:
        SecateurError: there are none.
    """
    clean = normaliser(language)
    found = tuple(sorted({c for text in texts for c in clean(text)}))
    if not found:
        raise SecateurError("no text to take characters from")
    return Units(found, language)
