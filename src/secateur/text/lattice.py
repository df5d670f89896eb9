"""The best way through a lattice of words (Viterbi 1967) under a bigram model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .word_model import START, WordScores


@dataclass(frozen=True)
class Edge:
    """A word from one position to `end`, and what speaks for it besides the word model (a logarithm)."""

    end: int
    word: str
    evidence: float = 0.0


def best_path(edges: Sequence[Sequence[Edge]], scores: WordScores, weight: float = 1.0) -> list[str]:
    """The words of the likeliest path from position 0 to `len(edges)`; `edges[i]` start at position i.

    A path's score is the sum of its edges' evidence and `weight` times the words' log probabilities. A pair that was
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
        open_end = max((score + weight * scores.unseen(word), word) for word, (score, _, _) in states.items())
        scored = {edge: (open_end[0] + weight * scores.alone(edge.word), open_end[1]) for edge in leaving}
        named: dict[str, list[Edge]] = {}
        for edge in leaving:
            named.setdefault(edge.word, []).append(edge)
        for before, (score, _, _) in states.items():
            after = scores.after(before)
            small, large = (after, named) if len(after) < len(named) else (named, after)
            for word in small:
                if word in large:
                    total = score + weight * scores.pair(before, word)
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
