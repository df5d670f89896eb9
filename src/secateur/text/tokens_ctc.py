"""The vocabulary of a CTC model from elsewhere: its tokens as they stand in a vocab.json."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..base.files import write_json
from ..base.options import to_dict
from .spoken import spoken


@dataclass(frozen=True)
class VocabularyUnits:
    """Tokens in the order of the network's outputs, blank left out (see `units.Inventory`).

    `special` tokens (`<s>`, `<unk>`) are never written or taught. A text is spelled as it is spoken, in capitals where
    the tokens are; what no token covers is passed over.
    """

    tokens: tuple[str, ...]
    delimiter: str = "|"  # between words
    special: tuple[str, ...] = ("<s>", "</s>", "<unk>", "<pad>")
    language: str = "en"
    kind: str = "tokens"

    @property
    def outputs(self) -> int:
        """See `Inventory`."""
        return len(self.tokens) + 1

    @property
    def boundary(self) -> int | None:
        """The delimiter, where there is one."""
        return self.tokens.index(self.delimiter) + 1 if self.delimiter in self.tokens else None

    def begins(self) -> list[bool]:
        """Without a delimiter every token may begin a word."""
        return [False] + [self.boundary is None] * len(self.tokens)

    def spellings(self, word: str) -> list[tuple[int, ...]]:
        """The one spelling, when tokens cover it all."""
        ids, covered = self._cover(word)
        return [tuple(ids)] if ids and covered else []

    def encode(self, text: str) -> list[int]:
        """Outputs of a text, the longest token first.

        >>> VocabularyUnits(("|", "A", "B")).encode("a, bab!")
        [2, 1, 3, 2, 3]
        """
        return self._cover(spoken(text).replace(" ", self.delimiter))[0]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of outputs without blanks, in lower case where all tokens are capitals."""
        spelling = "".join(t for t in (self.tokens[i - 1] for i in ids) if t not in self.special)
        words = " ".join(spelling.replace(self.delimiter, " ").split())
        return words.lower() if self._capitals else words

    def write(self, path: Path) -> None:
        """Store as JSON, atomically."""
        write_json(path, to_dict(self))

    @property
    def _capitals(self) -> bool:
        letters = "".join(t for t in self.tokens if t not in self.special)
        return letters.upper() == letters and letters.lower() != letters

    def _cover(self, text: str) -> tuple[list[int], bool]:
        """Outputs of `text`, and whether tokens cover all of it."""
        text = text.upper() if self._capitals else text
        number = {t: i for i, t in enumerate(self.tokens, 1) if t and t not in self.special}
        longest, result, whole, at = max(map(len, number), default=1), list[int](), True, 0
        while at < len(text):
            size = next((n for n in range(longest, 0, -1) if text[at : at + n] in number), 0)
            if size:
                result.append(number[text[at : at + size]])
            whole, at = whole and size > 0, at + max(size, 1)
        return result, whole
