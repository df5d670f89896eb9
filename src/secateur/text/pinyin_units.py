"""What a CTC head or model spells Chinese with: syllables, or initials and finals. Number 0 is the blank."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..base.errors import SecateurError
from ..base.files import read_json, write_json
from ..base.options import from_dict, to_dict
from .chinese import normalise_chinese
from .pinyin import FORMS, Syllable, syllables

Form = Literal["parts", "numbers", "plain"]


@dataclass(frozen=True)
class PinyinUnits:
    """`names` in the order of the network's outputs, blank left out: name i is output i + 1.

    "parts" are initials and finals with their tone (about 200, all of which an hour of speech has), "numbers" whole
    syllables with tones (about 1,300), "plain" syllables without (about 400). Latin words are passed over, and so is
    what the inventory lacks.
    """

    names: tuple[str, ...]
    form: Form = "parts"
    kind: str = "pinyin"

    def __post_init__(self) -> None:
        if len(set(self.names)) != len(self.names) or not self.names:
            raise ValueError("names must be one or more, and different")

    @property
    def outputs(self) -> int:
        """Rows of the network's output, the blank's included."""
        return len(self.names) + 1

    def encode(self, text: str) -> list[int]:
        """Output numbers of a text.

        Raises:
            SecateurError: the extra `zh` is not installed.
        """
        return self.numbers(spelled(text, self.form))

    def numbers(self, names: Iterable[str]) -> list[int]:
        """Output numbers of names; unknown ones are left out."""
        known = {name: i for i, name in enumerate(self.names, 1)}
        return [known[name] for name in names if name in known]

    def decode(self, ids: Iterable[int]) -> str:
        """The names of output numbers without blanks, separated by spaces."""
        return " ".join(self.names[i - 1] for i in ids)

    def write(self, path: Path) -> None:
        """Store as JSON, atomically."""
        write_json(path, to_dict(self))

    @classmethod
    def read(cls, path: Path) -> PinyinUnits:
        """The inventory in a file.

        Raises:
            SecateurError: missing, an unknown key (with the nearest), or another kind of units.
        """
        units = from_dict(cls, read_json(path), str(path))
        if units.kind != "pinyin":
            raise SecateurError(f"{path}: units of the kind '{units.kind}', expected pinyin")
        return units


def spelled(text: str, form: Form = "parts") -> list[str]:
    """The names that spell the Chinese part of a text.

    Raises:
        SecateurError: the extra `zh` is not installed.
    """
    found = [s for s in syllables(normalise_chinese(text)) if isinstance(s, Syllable)]
    return [name for syllable in found for name in FORMS[form](syllable).split()]


def pinyin_units(texts: Sequence[str], form: Form = "parts") -> PinyinUnits:
    """The inventory of all names that spell `texts`.

    Raises:
        SecateurError: there are none, or the extra `zh` is not installed.
    """
    found = tuple(sorted({name for text in texts for name in spelled(text, form)}))
    if not found:
        raise SecateurError("no Chinese text to take pinyin from")
    return PinyinUnits(found, form)
