"""The command that audio most likely is: sentences of the search, weighed, or none."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Protocol

from ...base.errors import SecateurError
from ...decode.segments import Audio
from ...models.family import Member, family_of
from ...runtime.recogniser import Recogniser
from ..grammar.file import Grammar
from ..grammar.match import Match, match
from ..grammar.outside import FORBIDDING, language_of, turned
from ..grammar.words import words_of
from .distance import distance, within
from .search import Begun, Sentence

SEARCHED = 0.1  # likeness of the free text to the grammar from which it is searched, and searched widely
SEARCHED_WIDELY = 0.25
UNLIKE = 0.5  # of a word's letters that may differ where it must be certain
LONG = 4  # letters of a word that may not be left out then
DROPPED = 7  # letters that were said beyond a command, above which it was another sentence; of Mandarin two characters


@dataclass(frozen=True)
class Weights:
    """How sentences are weighed against each other, and when the best is believed.

    score = log p(sentence | audio) - expected * log p(sentence | silence) - letters * edits, where edits are
    the letters in which the sentence differs from what the recogniser wrote freely. The second term takes away what
    the decoder would rather write than the grammar's words; the third, what a sentence leaves out of what was said.
    Chosen on synthesised orders.

    The probability that the best was said is 1 / (1 + exp(gap * g + share * s - bias)), where g are
    the nats by which it is less likely than what was written freely, and s the share of letters in which both differ.
    Chosen between spoken orders with kitchen noise (g up to 16, s up to 0.4) and everyday sentences (speechocean762,
    dev: all but one in 120 above g = 13 and s = 0.65).
    """

    expected: float = 0.3
    letters: float = 1.0
    nearest: int = 6  # sentences that are weighed
    within: float = 8.0  # nats below the best, before weighing, of those that are weighed
    bias: float = 5.3
    gap: float = 0.13
    share: float = 7.0
    least: float = 0.5  # probability below which nothing of the grammar was said

    def probability(self, gap: float, share: float) -> float:
        """That the best sentence was said, from 0 to 1."""
        return 1 / (1 + math.exp(min(60.0, max(gap, 0.0) * self.gap + share * self.share - self.bias)))


@dataclass(frozen=True)
class Phrase:
    """A sentence of the grammar that was said."""

    text: str
    match: Match
    score: float
    edits: float  # a letter of the longer of both texts


class Search(Protocol):
    """What finds sentences, whatever the family of the model."""

    def begin(self, audio: Audio) -> Begun:
        """One clip, encoded, and what it says without a grammar."""

    def search(self, begun: Begun, wide: bool = False) -> list[Sentence]:
        """Whole sentences for one clip, the likeliest first."""

    def expected(self, sentences: Sequence[Sentence]) -> list[float]:
        """log p of each sentence given silence."""


class Phrases:
    """Phrase mode of one recogniser and grammar: the encoder runs once a clip."""

    def __init__(self, recogniser: Recogniser, grammar: Grammar, weights: Weights | None = None, beam: int = 8) -> None:
        self.grammar, self.weights = grammar, weights or Weights()
        self.search = _search(recogniser, grammar, beam)

    def recognise(self, samples: Audio, free: str | None = None) -> Phrase | None:
        """The command that `samples` are; `free` is what the recogniser writes without a grammar, if known."""
        begun = self.search.begin(samples)
        return self.choose(begun if free is None else replace(begun, free=free))

    def _likeness(self, free: str) -> float:
        """The share of pairs of neighbouring words of `free` that are neighbours in the grammar; 1 for a word or two.

        Of everyday sentences a third have one pair in five, a sixth three in ten; of spoken orders in noise nearly all.
        """
        words = words_of(free)
        pairs = sum(pair in self.grammar.graph.pairs for pair in pairwise(words))
        return pairs / (len(words) - 1) if len(words) > 2 else 1.0

    def choose(self, begun: Begun) -> Phrase | None:
        """The sentence of the grammar that was said, or None when none is likely enough beside `begun.free`."""
        likeness = self._likeness(begun.free) if begun.free else 0.0
        sentences = self._chosen(begun, False) if likeness >= SEARCHED else None
        return self._chosen(begun, True) if sentences is None and likeness >= SEARCHED_WIDELY else sentences

    def _certain(self, meaning: Match, text: str, free: str) -> bool:
        """Whether what must be certain was recognised as well: every such value, and no other word beside them."""
        values = [value for name, value in meaning.values if name in self.grammar.certain]
        if not values:
            return True
        words, sentence = words_of(free), words_of(text)
        letters = "".join(words)
        forbidden = FORBIDDING[language_of(self.grammar.language)]
        if any(word in forbidden and word not in sentence for word in words):
            return False
        parts = [word for value in values for word in words_of(value)]
        return all(within(part, letters) <= UNLIKE * len(part) for part in parts) and all(
            within(word, "".join(sentence)) <= UNLIKE * len(word) for word in words if len(word) >= LONG
        )

    def _chosen(self, begun: Begun, wide: bool) -> Phrase | None:
        sentences, weights = self.search.search(begun, wide), self.weights
        written = "".join(words_of(begun.free))
        edits = {sentence.text: distance(sentence.text.replace(" ", ""), written) for sentence in sentences}
        rough = sorted(sentences, key=lambda sentence: weights.letters * edits[sentence.text] - sentence.log_prob)[
            : weights.nearest
        ]
        if rough:
            least = rough[0].log_prob - weights.letters * edits[rough[0].text] - weights.within
            rough = [
                sentence for sentence in rough if sentence.log_prob - weights.letters * edits[sentence.text] >= least
            ]
        several = len(rough) > 1 and weights.expected
        expected = self.search.expected(rough) if several else [0.0] * len(rough)
        scored = [
            (sentence.log_prob - weights.expected * prior - weights.letters * edits[sentence.text], sentence)
            for sentence, prior in zip(rough, expected, strict=True)
        ]
        for score, sentence in sorted(scored, key=lambda one: -one[0]):
            share = edits[sentence.text] / max(1, len(written), len(sentence.text.replace(" ", "")))
            sure = weights.probability(begun.log_prob - sentence.log_prob, share)
            meaning = match(self.grammar.graph, sentence.text, 0.0)
            if meaning is None:
                continue
            dropped = len(written.encode()) - len(sentence.text.replace(" ", "").encode())
            if (
                sure < weights.least
                or dropped > DROPPED
                or turned(begun.free, sentence.text, self.grammar.language, begun.unsure)
            ):
                return None
            if not self._certain(meaning, sentence.text, begun.free):
                return None
            return Phrase(sentence.text, replace(meaning, sure=sure), score, share)
        return None


def _search(recogniser: Recogniser, grammar: Grammar, beam: int) -> Search:
    """The search for a model's family.

    Raises:
        SecateurError: a language, or units, that the grammar cannot be spelled with.
    """
    family = family_of(recogniser.config)
    if family.phrases is None:
        raise SecateurError(f"phrase mode is not for models of the family '{family.name}'; use --phrases no")
    return Member[Callable[[Recogniser, Grammar, int], Search]]("phrases").of(recogniser.config)(
        recogniser, grammar, beam
    )
