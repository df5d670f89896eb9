"""The command that audio most likely is: sentences found by the search, weighed, or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ...base.errors import SecateurError
from ...decode.segments import Audio
from ...models.family import family_of
from ...runtime.recogniser import Recogniser
from ..grammar.file import Grammar
from ..grammar.match import Match, match
from ..grammar.words import words_of
from .distance import distance
from .search import Said


@dataclass(frozen=True)
class Weights:
    """How sentences are weighed against each other; chosen on synthesised orders, never on the test's recordings.

    score = log p(sentence | audio) - expected * log p(sentence | nothing heard) - letters * edits, where edits are
    the letters in which the sentence differs from what the recogniser wrote freely. The second term takes away what
    the decoder would rather write than the grammar's words; the third, what a sentence leaves out of what was said.
    """

    expected: float = 0.3
    letters: float = 1.0
    nearest: int = 12  # sentences that are weighed
    worst: float = 0.65  # edits a letter, above which nothing of the grammar was said


@dataclass(frozen=True)
class Phrase:
    """A sentence of the grammar that was heard."""

    text: str
    match: Match
    score: float
    edits: float  # a letter of the longer of both texts


class Search(Protocol):
    """What finds sentences, whatever the family of the model."""

    def search(self, audio: Audio) -> list[Said]:
        """Whole sentences found for one clip, the likeliest first."""

    def expected(self, sentences: Sequence[Said]) -> list[float]:
        """log p of each sentence when nothing is heard."""


class Phrases:
    """Phrase mode of one recogniser and grammar."""

    def __init__(
        self, recogniser: Recogniser, grammar: Grammar, weights: Weights | None = None, beam: int = 20
    ) -> None:
        self.grammar, self.weights = grammar, weights or Weights()
        self.search = _search(recogniser, grammar, beam)

    def hear(self, samples: Audio, free: str) -> Phrase | None:
        """The command that `samples` are; `free` is what the recogniser writes without a grammar."""
        return self.choose(self.search.search(samples), free)

    def choose(self, found: list[Said], free: str) -> Phrase | None:
        """The best of `found`, or None when all are too far from `free`."""
        weights = self.weights
        written = "".join(words_of(free))
        edits = {said.text: distance(said.text.replace(" ", ""), written) for said in found}
        rough = sorted(found, key=lambda said: weights.letters * edits[said.text] - said.heard)[: weights.nearest]
        expected = self.search.expected(rough) if weights.expected else [0.0] * len(rough)
        scored = [
            (said.heard - weights.expected * prior - weights.letters * edits[said.text], said)
            for said, prior in zip(rough, expected, strict=True)
        ]
        for score, said in sorted(scored, key=lambda one: -one[0]):
            share = edits[said.text] / max(1, len(written), len(said.text.replace(" ", "")))
            meaning = match(self.grammar.graph, said.text, 0.0)
            if share <= weights.worst and meaning is not None:
                return Phrase(said.text, meaning, score, share)
        return None


def _search(recogniser: Recogniser, grammar: Grammar, beam: int) -> Search:
    """The search for a model's family.

    Raises:
        SecateurError: a language, or units, that the grammar cannot be spelled with.
    """
    family = family_of(recogniser.config)
    if family.phrases is None:
        raise SecateurError(f"phrase mode is not for models of the family '{family.name}'; use --phrases no")
    search: Search = family.phrases()(recogniser, grammar, beam)
    return search
