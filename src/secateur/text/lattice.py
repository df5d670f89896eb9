"""The best way through a lattice of words (Viterbi 1967): under a bigram model, or a beam under longer n-grams."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from .word_model import START, WordScores

BEAM, LISTED = 6, 10  # states kept at a place; edges over the same characters that compete
LACKED = 8.0  # nats a character of a word that a language model lacks: about what a rare one costs
KEPT = 500_000  # steps that a cache keeps


class Edge(NamedTuple):
    """A word from one position to `end`, and what speaks for it besides the word model (a logarithm)."""

    end: int
    word: str
    evidence: float = 0.0


def best_path(edges: Sequence[Sequence[Edge]], scores: WordScores) -> list[str]:
    """The words of the likeliest path from position 0 to `len(edges)`; `edges[i]` start at position i.

    A path's score is the sum of its edges' evidence and the words' log probabilities. A pair that was
    never seen scores `unseen(before) + alone(word)`: only the best state before counts for all of these, so the work
    grows with states + edges, not with their product. Empty when no path leads to the end.
    """
    # by position: word -> (score, position before, word before)
    reached: list[dict[str, tuple[float, int, str]]] = [{} for _ in range(len(edges) + 1)]
    reached[0][START] = (0.0, -1, "")
    for i, leaving in enumerate(edges):
        states = reached[i]
        if not states or not leaving:
            continue
        open_end = max((score + scores.unseen(word), word) for word, (score, _, _) in states.items())
        scored = {edge: (open_end[0] + scores.alone(edge.word), open_end[1]) for edge in leaving}
        named: dict[str, list[Edge]] = {}
        for edge in leaving:
            named.setdefault(edge.word, []).append(edge)
        for before, (score, _, _) in states.items():
            after = scores.after(before)
            small, large = (after, named) if len(after) < len(named) else (named, after)
            for word in small:
                if word in large:
                    total = score + scores.pair(before, word)
                    for edge in named[word]:
                        scored[edge] = max(scored[edge], (total, before))
        for edge, (score, before) in scored.items():
            total = score + edge.evidence
            if total > reached[edge.end].get(edge.word, (float("-inf"), 0, ""))[0]:
                reached[edge.end][edge.word] = (total, i, before)
    return _back(reached)


def _back(reached: Sequence[dict[str, tuple[float, int, str]]]) -> list[str]:
    if not reached[-1]:
        return []
    at, word = len(reached) - 1, max(reached[-1], key=lambda w: reached[-1][w][0])
    words = []
    while at > 0:
        words.append(word)
        _, at, word = reached[at][word]
    return words[::-1]


class WordLm(Protocol):
    """A language model over words by their numbers (`lm.ngram.NGram`)."""

    @property
    def numbers(self) -> dict[str, int]:
        """The number of every word."""

    def start(self) -> Any:
        """The state before the first word."""

    def then(self, word: int, state: Any) -> Any:
        """The state after a word's number, -1 for one that is not known."""

    def score(self, word: int, state: Any) -> float:
        """log P(word | state)."""


class PairScores:
    """log P(word | word before) of `WordScores`, with the steps of `MixedScores`."""

    def __init__(self, scores: WordScores) -> None:
        self.scores = scores

    def start(self) -> Any:
        """The state before the first word: that of a sentence."""
        return START

    def step(self, state: Any, word: str) -> tuple[float, Any]:
        """The logarithm of a word's probability, and the state after it."""
        return self.scores.after_word(state, word), word


class MixedScores:
    """log P(word | words before): `share` of it is a language model's, the rest that of `scores`."""

    def __init__(self, scores: WordScores, lm: WordLm, share: float) -> None:
        self.scores, self.lm = scores, lm
        self.own, self.other = (math.log(max(part, 1e-9)) for part in (1 - share, share))
        self._steps: dict[tuple[Any, str], tuple[float, Any]] = {}
        self._alone: dict[str, float] = {}

    def start(self) -> Any:
        """The state before the first word: the word before, and the language model's state."""
        return START, self.lm.start()

    def alone(self, word: str) -> float:
        """The logarithm of a word's probability where nothing is known of what stands before."""
        known = self._alone.get(word)
        if known is None:
            known = self._alone[word] = self.step(("", ()), word)[0]
        return known

    def step(self, state: Any, word: str) -> tuple[float, Any]:
        """The logarithm of a word's probability, and the state after it."""
        known = self._steps.get((state, word))
        if known is None:
            if len(self._steps) >= KEPT:
                self._steps.clear()
            before, words = state
            number = self.lm.numbers.get(word, -1)
            other = self.lm.score(number, words) - (LACKED * len(word) if number < 0 else 0.0)
            large, small = sorted((self.own + self.scores.after_word(before, word), self.other + other), reverse=True)
            after = word, self.lm.then(number, words)
            known = self._steps[state, word] = large + math.log1p(math.exp(small - large)), after
        return known


def beam_path(edges: Sequence[Sequence[Edge]], scores: MixedScores) -> list[str]:
    """As `best_path`, under a model that looks further back: a beam over what stands before, `BEAM` states wide.

    Of the edges over the same characters the `LISTED` likeliest by themselves compete.
    """
    reached: list[dict[Any, tuple[float, Any, str]]] = [{} for _ in range(len(edges) + 1)]
    reached[0][scores.start()] = 0.0, None, ""
    for i, leaving in enumerate(edges):
        states = heapq.nlargest(BEAM, reached[i], key=lambda state: reached[i][state][0])
        spans: dict[int, list[Edge]] = {}
        for edge in leaving if states else ():
            spans.setdefault(edge.end, []).append(edge)
        for end, some in spans.items():
            likely = some
            if len(some) > LISTED:
                likely = heapq.nlargest(LISTED, some, key=lambda e: e.evidence + scores.alone(e.word))
            for state in states:
                for edge in likely:
                    score, then = scores.step(state, edge.word)
                    score += reached[i][state][0] + edge.evidence
                    if score > reached[end].get(then, (-math.inf,))[0]:
                        reached[end][then] = score, (i, state), edge.word
    if not reached[-1]:
        return []
    at, state, words = len(edges), max(reached[-1], key=lambda s: reached[-1][s][0]), list[str]()
    while at:
        _, (at, state), word = reached[at][state]
        words.append(word)
    return words[::-1]
