"""Vocabularies of CTC models from elsewhere: tokens of a vocab.json, or a tokenizer that writes (SentencePiece)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..base.files import write_json
from ..base.options import to_dict
from .normalise import spoken
from .pieces import START
from .tokenizer import check_parts


@dataclass(frozen=True)
class TokenizerUnits:
    """Tokens of a tokenizer.json in the order of the network's outputs, blank first (see `units.Inventory`).

    `rows` are the network's outputs, `blank` which of the tokenizer's numbers the blank had. `special` tokens are never
    written or taught; what no token covers is passed over. A text is spelled as it is spoken, or as it stands
    where tokens have capitals.
    """

    definition: str  # of the tokenizer, as JSON
    blank: int
    rows: int
    special: tuple[str, ...] = ("<unk>", "<pad>", "<s>", "</s>")
    language: str = "en"
    kind: str = "tokenizer"

    @property
    def outputs(self) -> int:
        """See `Inventory`."""
        return self.rows

    @property
    def boundary(self) -> int | None:
        """None: tokens say themselves that they begin a word."""
        return None

    @cached_property
    def tokens(self) -> tuple[str, ...]:
        """Of every output but the blank's; empty where the tokenizer has none."""
        order = [i for i in range(self.rows) if i != self.blank]
        return tuple(self.token(i) or "" for i in order)

    def begins(self) -> list[bool]:
        """Those with the mark."""
        return [False, *(token.startswith(START) for token in self.tokens)]

    def spellings(self, word: str) -> list[tuple[int, ...]]:
        """The one spelling, when tokens cover it all."""
        result = self.encode(word)
        return [tuple(result)] if result and self.decode(result) == word else []

    def encode(self, text: str) -> list[int]:
        """Outputs of a text."""
        words = " ".join(text.split()) if self._capitals else spoken(text)
        ids = self._tokenizer.encode(words, add_special_tokens=False).ids
        result = [i + (i < self.blank) for i in ids if i < self.rows and i != self.blank]
        return [i for i in result if self.tokens[i - 1] not in self.special]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of outputs without blanks."""
        spelling = "".join(t for t in (self.tokens[i - 1] for i in ids) if t not in self.special)
        return " ".join(spelling.replace(START, " ").split())

    def write(self, path: Path) -> None:
        """Store as JSON, atomically."""
        write_json(path, to_dict(self), indent=None)

    def token(self, number: int) -> str | None:
        """What the tokenizer's own `number` stands for."""
        result: str | None = self._tokenizer.id_to_token(number)
        return result

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        check_parts(json.loads(self.definition), "units.json")
        return Tokenizer.from_str(self.definition)

    @cached_property
    def _capitals(self) -> bool:
        letters = "".join(token for token in self.tokens if token not in self.special)
        return letters.lower() != letters


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
