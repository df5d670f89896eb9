"""Phones as units: how words sound, from CMU's pronouncing dictionary, and a plain rule for words that it lacks."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from ..base.errors import SecateurError, several
from ..base.extras import hint
from ..base.files import write_json
from ..base.options import to_dict
from .normalise import spoken

PHONES = (
    "AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH", "IH", "IY", "JH", "K",
    "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH", "UH", "UW", "V", "W", "Y", "Z", "ZH",
)  # fmt: skip
BETWEEN = " "  # the unit between two words: without it, sounds alone would not say where a word ends

# Letters to phones, the longest first: one reading each, good enough to let a rare word be taught and found.
LETTERS = {
    "tch": "CH", "igh": "AY", "sch": "SH", "tion": "SH AH N", "ough": "AO", "eau": "OW", "dge": "JH",
    "th": "TH", "sh": "SH", "ch": "CH", "ph": "F", "ck": "K", "ng": "NG", "qu": "K W", "wh": "W", "gh": "G", "kn": "N",
    "wr": "R", "zh": "ZH", "ts": "T S", "ee": "IY", "ea": "IY", "oo": "UW", "ou": "AW", "ow": "OW", "ai": "EY",
    "ay": "EY", "au": "AO", "aw": "AO", "oa": "OW", "oi": "OY", "oy": "OY", "ie": "IY", "ei": "EY", "ey": "IY",
    "er": "ER", "ir": "ER", "ur": "ER", "ar": "AA R", "or": "AO R",
    "a": "AE", "b": "B", "c": "K", "d": "D", "e": "EH", "f": "F", "g": "G", "h": "HH", "i": "IH", "j": "JH", "k": "K",
    "l": "L", "m": "M", "n": "N", "o": "AA", "p": "P", "q": "K", "r": "R", "s": "S", "t": "T", "u": "AH", "v": "V",
    "w": "W", "x": "K S", "y": "IY", "z": "Z",
    "0": "Z IY R OW", "1": "W AH N", "2": "T UW", "3": "TH R IY", "4": "F AO R", "5": "F AY V", "6": "S IH K S",
    "7": "S EH V AH N", "8": "EY T", "9": "N AY N",
}  # fmt: skip
LONGEST = max(map(len, LETTERS))


@dataclass(frozen=True)
class Phones:
    """The 39 phones of CMU's dictionary and a unit between words. `words` are pronunciations, the usual one first.

    A text is taught by each word's first pronunciation. What was recognised is read back as the first word in `words`
    that sounds so (homophones need a language model to be told apart), or phone by phone in angle brackets. A model
    carries the whole dictionary (3 MB): a language model brings words that its training texts lack.
    """

    words: dict[str, tuple[str, ...]] = field(default_factory=dict)
    language: str = "en"
    phones: tuple[str, ...] = (BETWEEN, *PHONES)
    kind: Literal["phones"] = "phones"

    def __post_init__(self) -> None:
        if len(set(self.phones)) != len(self.phones) or BETWEEN not in self.phones:
            raise ValueError("phones must be different, and the one between words, ' ', among them")

    @property
    def outputs(self) -> int:
        """See `Inventory`."""
        return len(self.phones) + 1

    @property
    def boundary(self) -> int | None:
        """The unit between words."""
        return self._number[BETWEEN]

    def begins(self) -> list[bool]:
        """None: words are separated."""
        return [False] * self.outputs

    def spellings(self, word: str) -> list[tuple[int, ...]]:
        """All pronunciations that the dictionary has, or the one of the letters."""
        result = self.words.get(word) or ((by_letters(word),) if by_letters(word) else ())
        return [tuple(self._number[p] for p in pronunciation.split()) for pronunciation in result]

    def encode(self, text: str) -> list[int]:
        """Phones of a text.

        >>> units = Phones({"read": ("R EH D", "R IY D")})
        >>> units.decode(units.encode("Read, shop!"))
        'read <SH AA P>'
        """
        result: list[int] = []
        for word in spoken(text).split():
            pronunciation = self.spellings(word)
            if pronunciation:
                result += ([self._number[BETWEEN]] if result else []) + list(pronunciation[0])
        return result

    def decode(self, ids: Iterable[int]) -> str:
        """The words that sound so."""
        pronunciation = "|".join(self.phones[i - 1] for i in ids).split(BETWEEN)
        words = (" ".join(part.strip("|").split("|")) for part in pronunciation)
        return " ".join(self._word_of.get(word, f"<{word}>") for word in words if word)

    def sounds(self, ids: Iterable[int]) -> str:
        """Phones with spaces between, whatever words they make: what a phone error rate compares.

        >>> units = Phones({"read": ("R EH D",), "it": ("IH T",)})
        >>> units.sounds(units.encode("Read it!"))
        'R EH D IH T'
        """
        return " ".join(phone for phone in (self.phones[i - 1] for i in ids) if phone != BETWEEN)

    def write(self, path: Path) -> None:
        """Store as JSON, atomically."""
        write_json(path, to_dict(self), indent=None)

    @cached_property
    def _number(self) -> dict[str, int]:
        return {phone: i for i, phone in enumerate(self.phones, 1)}

    @cached_property
    def _word_of(self) -> dict[str, str]:
        result: dict[str, str] = {}
        for word, ways in self.words.items():
            for pronunciation in ways:
                result.setdefault(pronunciation, word)
        return result


def by_letters(word: str) -> str:
    """Phones of a word by its letters (`LETTERS`), the longest match first; letters without a sound are passed over.

    >>> by_letters("thatcher")
    'TH AE CH ER'
    """
    result: list[str] = []
    i = 0
    while i < len(word):
        size = next((n for n in range(LONGEST, 0, -1) if word[i : i + n] in LETTERS), 1)
        result += LETTERS.get(word[i : i + size], "").split()
        i += size
    return " ".join(result)


def phones_of(texts: Iterable[str], language: str = "en", dictionary: Path | None = None) -> Phones:
    """Phones with pronunciations: the words of `texts`, frequent ones first, then all others of the dictionary.

    Raises:
        SecateurError: no text, another language than English, or no dictionary here.
    """
    if not language.startswith("en"):
        raise SecateurError(f"phones are English so far, not '{language}': use characters or pieces")
    counts: dict[str, int] = {}
    for text in several("phones_of", texts):
        for word in spoken(text).split():
            counts[word] = counts.get(word, 0) + 1
    if not counts:
        raise SecateurError("no text to take words from")
    known = read_dictionary(dictionary or cmu_dictionary())
    order = sorted(counts, key=lambda word: (-counts[word], word))
    pronunciation = {word: known.get(word) or tuple(filter(None, [by_letters(word)])) for word in order}
    pronunciation |= {word: ways for word, ways in known.items() if word not in pronunciation}
    return Phones({word: ways for word, ways in pronunciation.items() if ways}, language)


def cmu_dictionary() -> Path:
    """The dictionary in the file that `SECATEUR_DICTIONARY` names, else the one in the `pocketsphinx` wheel.

    Raises:
        SecateurError: there is neither.
    """
    named = os.environ.get("SECATEUR_DICTIONARY")
    if named:
        return Path(named)
    try:
        return sphinx_file("cmudict-en-us.dict")
    except SecateurError as problem:
        raise SecateurError(f"{problem}, or set SECATEUR_DICTIONARY to a file of CMU's dictionary") from None


def sphinx_file(name: str) -> Path:
    """A file of the English model in the `pocketsphinx` wheel; its code is not imported.

    Raises:
        SecateurError: the wheel is not installed.
    """
    spec = find_spec("pocketsphinx")
    if spec is None or spec.origin is None:
        raise SecateurError(f"'pocketsphinx' is not installed: run  {hint('sphinx')}")
    return Path(spec.origin).parent / "model" / "en-us" / name


def read_dictionary(path: Path) -> dict[str, tuple[str, ...]]:
    """Pronunciations of every word in a CMU dictionary: `word PH PH`, and `word(2) PH PH` for a further one.

    Raises:
        SecateurError: missing, or not such a file.
    """
    result: dict[str, tuple[str, ...]] = {}
    known = set(PHONES)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        raise SecateurError(f"{path}: no such file") from None
    for number, line in enumerate(lines, 1):
        word, *pronunciation = line.split()
        pronunciation = [phone.rstrip("012") for phone in pronunciation]
        if not pronunciation or not set(pronunciation) <= known:
            raise SecateurError(f"{path}: line {number} is no word with its phones: {line[:60]}")
        name = word.split("(")[0].lower()
        result[name] = (*result.get(name, ()), " ".join(pronunciation))
    return result
