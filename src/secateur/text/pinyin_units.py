"""What a CTC head or model spells Chinese with: syllables, or initials and finals. Number 0 is the blank.

A model writes pinyin; the words of its training texts, kept beside its units, make characters of it (`by_sound`).
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ..base.errors import SecateurError
from ..base.files import read_json, write_json
from ..base.options import from_dict
from .by_sound import BySound
from .chinese import normalise_chinese
from .pinyin import FORMS, INITIALS, Syllable, syllables
from .word_model import WordModel, learn_words

Form = Literal["parts", "numbers", "plain"]
WORDS = "words.json"  # beside the units


@dataclass(frozen=True)
class PinyinUnits:
    """`names` in the order of the network's outputs, blank left out: name i is output i + 1.

    "parts" are initials and finals with their tone (about 200, all of which an hour of speech has), "numbers" whole
    syllables with tones (about 1,300), "plain" syllables without (about 400). Latin words are passed over, and so is
    what the inventory lacks.
    """

    names: tuple[str, ...]
    form: Form = "parts"
    words: WordModel | None = None  # without it, text stays pinyin

    def __post_init__(self) -> None:
        if len(set(self.names)) != len(self.names) or not self.names:
            raise ValueError("names must be one or more, and different")

    @property
    def language(self) -> str:
        """The language of the texts: Mandarin."""
        return "zh"

    @property
    def boundary(self) -> int | None:
        """The unit between words: none, for nothing separates them."""
        return None

    def begins(self) -> list[bool]:
        """Every initial begins a syllable; where units are whole syllables, every one does."""
        return [False] + [self.form != "parts" or name in INITIALS for name in self.names]

    def spellings(self, word: str) -> list[tuple[int, ...]]:
        """The one spelling of a word, when all its names are known."""
        names = spelled(word, self.form)
        ids = self.numbers(names)
        return [tuple(ids)] if ids and len(ids) == len(names) else []

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
        """The likeliest characters of output numbers without blanks; without `words`, their names."""
        names = [self.names[i - 1] for i in ids]
        if self.words is None:
            return " ".join(names)
        return self._writer.characters(" ".join(joined(names) if self.form == "parts" else names))

    @functools.cached_property
    def _writer(self) -> BySound:
        return BySound(self.words or WordModel())

    def write(self, path: Path) -> None:
        """Store as JSON, atomically, and the words beside it."""
        write_json(path, {"names": self.names, "form": self.form, "kind": "pinyin"})
        if self.words is not None:
            self.words.write(Path(path).with_name(WORDS))

    @classmethod
    def read(cls, path: Path) -> PinyinUnits:
        """The inventory in a file, and the words beside it.

        Raises:
            SecateurError: missing, an unknown key (with the nearest), or another kind of units.
        """
        values = read_json(path)
        kind = values.pop("kind", None) if isinstance(values, dict) else None
        if kind != "pinyin":
            raise SecateurError(f"{path}: units of the kind '{kind}', expected pinyin")
        units = from_dict(cls, values, str(path))
        beside = Path(path).with_name(WORDS)
        return replace(units, words=WordModel.read(beside)) if beside.exists() else units


def joined(names: Iterable[str]) -> list[str]:
    """Initials and finals as syllables; an initial that no final follows is left out.

    >>> joined(["ch", "ong2", "q", "an1", "er4"])
    ['chong2', 'qan1', 'er4']
    """
    result, initial = [], ""
    for name in names:
        if name in INITIALS:
            initial = name
        else:
            result.append(initial + name)
            initial = ""
    return result


def spelled(text: str, form: Form = "parts") -> list[str]:
    """The names that spell the Chinese part of a text.

    Raises:
        SecateurError: the extra `zh` is not installed.
    """
    result = [s for s in syllables(normalise_chinese(text)) if isinstance(s, Syllable)]
    return [name for syllable in result for name in FORMS[form](syllable).split()]


def pinyin_units(texts: Sequence[str], form: Form = "parts") -> PinyinUnits:
    """The inventory of all names that spell `texts`.

    Raises:
        SecateurError: there are none, or the extra `zh` is not installed.
    """
    result = tuple(sorted({name for text in texts for name in spelled(text, form)}))
    if not result:
        raise SecateurError("no Chinese text to take pinyin from")
    return PinyinUnits(result, form)


def pinyin_writer(texts: Sequence[str]) -> PinyinUnits:
    """Units for a model of its own: with the words of `texts`, which its pinyin is written with.

    Raises:
        SecateurError: see `pinyin_units`.
    """
    return replace(pinyin_units(texts), words=learn_words(texts))
