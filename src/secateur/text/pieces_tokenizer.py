"""BPE over pieces of a sentence, spaces written as ▁ and unknown characters as bytes: the tokenizer of Moonshine.

As in Llama's `tokenizer.json`, made from a sentencepiece model: no splitting into words, several merges may give the
same piece, and 256 tokens `<0x00>` to `<0xFF>` spell what no piece can.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from functools import cached_property

from ..base.files import Json
from .tokenizer import Tokenizer, pair_of

BYTE = re.compile(r"<0x[0-9A-F]{2}>")
SPACE = "▁"


class PieceTokenizer(Tokenizer):
    """Text to ids and back for one vocabulary. Ids from `end` on are special and never part of text."""

    def encode(self, text: str) -> list[int]:
        """Ids of `text`, with the space that a sentence begins with."""
        return self.encode_exactly(text.strip())

    def spelled(self) -> dict[int, bytes]:
        """The bytes of every piece; ▁ is a space."""
        values = {i: name.replace(SPACE, " ").encode() for i, name in self._names.items()}
        return values | {i: bytes([int(n[3:5], 16)]) for n, i in self._vocabulary.items() if BYTE.fullmatch(n)}

    def spelled_like(self, ids: Iterable[int]) -> list[int]:
        """All pieces, the most frequent first, that are spelled only with characters that `ids` are spelled with."""
        alphabet = set("".join(self._names[i] for i in ids if i in self._names))
        return [i for i in sorted(self._names) if set(self._names[i]) <= alphabet]

    def parents(self) -> dict[int, tuple[int, int]]:
        """The two pieces that each merged piece is made of when it is spelled by itself.

        Of several merges that give a piece it is always the same one that does: merges inside a piece are taken in one
        order, whatever stands beside it.
        """
        return self._parents

    def closed(self, ids: Iterable[int]) -> list[int]:
        """`ids` with every piece on the way to them, the space, and all bytes, sorted; see `Tokenizer.closed`."""
        vocabulary = self._vocabulary
        kept = {i for name, i in vocabulary.items() if BYTE.fullmatch(name)} | {vocabulary[SPACE]}
        todo = [i for i in ids if i < self.end]
        while todo:
            i = todo.pop()
            if i not in kept:
                kept.add(i)
                todo += self._parents.get(i, ())
        return sorted(kept)

    def reduced(self, kept: Sequence[int], end: int) -> PieceTokenizer:
        """The tokenizer of a vocabulary that keeps the text rows `kept` (closed, sorted), renumbered from 0."""
        return PieceTokenizer(self._reduced_definition(kept), end)

    @cached_property
    def _model(self) -> Json:
        values: Json = json.loads(self.definition)["model"]
        return values

    @property
    def _vocabulary(self) -> dict[str, int]:
        values: dict[str, int] = self._model["vocab"]
        return values

    @cached_property
    def _names(self) -> dict[int, str]:
        """Pieces by id, without the bytes."""
        return {i: name for name, i in self._vocabulary.items() if not BYTE.fullmatch(name)}

    @cached_property
    def _parents(self) -> dict[int, tuple[int, int]]:
        vocabulary = self._vocabulary
        ranks = {pair: rank for rank, pair in enumerate(map(pair_of, self._model["merges"]))}
        values = {}
        for i, name in self._names.items():
            last = _last_merge(name, ranks)
            if last is not None:
                values[i] = (vocabulary[last[0]], vocabulary[last[1]])
        return values


def _last_merge(name: str, ranks: dict[tuple[str, str], int]) -> tuple[str, str] | None:
    """The merge that completes `name` from its characters; None for one character, or what merges do not reach."""
    parts, last, never = list(name), None, len(ranks)
    while len(parts) > 1:
        values = [ranks.get((parts[i], parts[i + 1]), never) for i in range(len(parts) - 1)]
        at = min(range(len(values)), key=values.__getitem__)
        if values[at] == never:
            return None
        last = (parts[at], parts[at + 1])
        parts[at : at + 2] = ["".join(last)]
    return last
