"""Pieces of words as units: a unigram model of `sentencepiece` (Kudo 2018, arXiv 1804.10959), read without it.

The JSON file holds every piece and its log-probability, which is all that cutting a text needs; `sentencepiece` is
needed to learn pieces, not to use them.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from ..base.errors import SecateurError, several
from ..base.extras import require
from ..base.files import write_json
from ..base.options import to_dict
from .normalise import spoken

START = "▁"  # a piece that begins a word begins with it


@dataclass(frozen=True)
class Pieces:
    """Pieces with their scores; a text is cut into the pieces with the highest sum."""

    pieces: tuple[str, ...]
    scores: tuple[float, ...]
    language: str = "en"
    kind: Literal["pieces"] = "pieces"

    def __post_init__(self) -> None:
        if len(set(self.pieces)) != len(self.pieces) or len(self.pieces) != len(self.scores):
            raise ValueError("pieces must be different, with a score each")

    @property
    def outputs(self) -> int:
        """See `Inventory`."""
        return len(self.pieces) + 1

    @property
    def boundary(self) -> int | None:
        """None: pieces say themselves that they begin a word."""
        return None

    def begins(self) -> list[bool]:
        """Those with the mark."""
        return [False, *(piece.startswith(START) for piece in self.pieces)]

    def spellings(self, word: str) -> list[tuple[int, ...]]:
        """The best cut of one word, when all its characters are known."""
        cut = self._cut(START + word)
        return [tuple(cut)] if cut and "".join(self.pieces[i - 1] for i in cut) == START + word else []

    def encode(self, text: str) -> list[int]:
        """The best cut of a text; characters that no piece has are passed over."""
        return [i for word in spoken(text).split() for i in self._cut(START + word)]

    def decode(self, ids: Iterable[int]) -> str:
        """The pieces, joined."""
        return "".join(self.pieces[i - 1] for i in ids).replace(START, " ").strip()

    def write(self, path: Path) -> None:
        """Store as JSON, atomically."""
        write_json(path, to_dict(self), indent=None)

    @cached_property
    def _number(self) -> dict[str, int]:
        return {piece: i for i, piece in enumerate(self.pieces, 1)}

    def _cut(self, marked: str) -> list[int]:
        """Viterbi over all cuts of one word with its mark."""
        word = "".join(c for c in marked if c in self._alphabet)
        best = [0.0] + [-math.inf] * len(word)
        last = [0] * (len(word) + 1)
        for end in range(1, len(word) + 1):
            for start in range(max(0, end - self._longest), end):
                piece = self._number.get(word[start:end])
                if piece is not None and best[start] + self.scores[piece - 1] > best[end]:
                    best[end], last[end] = best[start] + self.scores[piece - 1], start
        result: list[int] = []
        end = len(word)
        while end > 0 and best[end] > -math.inf:
            result.append(self._number[word[last[end] : end]])
            end = last[end]
        return result[::-1]

    @cached_property
    def _alphabet(self) -> set[str]:
        """All that pieces are written with."""
        return set("".join(self.pieces))

    @cached_property
    def _longest(self) -> int:
        return max(map(len, self.pieces))


def pieces_of(texts: Iterable[str], count: int, language: str = "en") -> Pieces:
    """At most `count` pieces learnt from `texts`, each spelled as it is spoken.

    Raises:
        SecateurError: no text, or `sentencepiece` is not installed.
    """
    library: Any = require("sentencepiece", "pieces")
    lines = [line for line in map(spoken, several("pieces_of", texts)) if line]
    if not lines:
        raise SecateurError("no text to learn pieces from")
    model = io.BytesIO()
    library.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, vocab_size=count + 1, model_type="unigram",
        character_coverage=1.0, normalization_rule_name="identity", hard_vocab_limit=False, bos_id=-1, eos_id=-1,
        unk_id=0, num_threads=1, minloglevel=2,
    )  # fmt: skip
    learnt = library.SentencePieceProcessor(model_proto=model.getvalue())
    real = [i for i in range(learnt.get_piece_size()) if not learnt.is_unknown(i) and not learnt.is_control(i)]
    return Pieces(tuple(learnt.id_to_piece(i) for i in real), tuple(learnt.get_score(i) for i in real), language)
