"""Which words of a transcript are which recognised words: anchors first, then edit distance between them.

Runs of words that occur once in both are anchors (the patience of `diff`), so that an hour takes seconds and what one
side lacks does not pull the rest out of place; between anchors the cheapest path of matches, substitutions, insertions
and deletions (Levenshtein), where words that look alike may stand for each other.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from difflib import SequenceMatcher
from functools import lru_cache

import numpy as np

MOST_CELLS = 1_500_000  # of a table of distances; what is larger is divided by anchors first
RUNS = (6, 5, 4, 3, 2)  # words of an anchor
OTHER = 1.6  # of substituting a word by one that is unlike it; deleting and inserting cost 1 each
ALIKE = 0.5  # from which similarity on two words may be one, recognised wrongly

Pair = tuple[int, int]


def match(reference: Sequence[str], recognised: Sequence[str]) -> list[Pair]:
    """Pairs (index in `reference`, index in `recognised`) in rising order; equal, alike, or alone between others.

    >>> match("the cat sat on a mat".split(), "a the cat sad on mat".split())
    [(0, 1), (1, 2), (2, 3), (3, 4), (5, 5)]
    """
    pairs: list[Pair] = []
    waiting = [(0, len(reference), 0, len(recognised))]
    while waiting:
        r0, r1, h0, h1 = waiting.pop()
        if r0 == r1 or h0 == h1:
            continue
        if (r1 - r0) * (h1 - h0) <= MOST_CELLS:
            pairs += [(r0 + r, h0 + h) for r, h in distance_path(reference[r0:r1], recognised[h0:h1])]
            continue
        anchors = _anchors(reference[r0:r1], recognised[h0:h1])
        if anchors:
            pairs += [(r0 + r, h0 + h) for r, h in anchors]
            edges = [(-1, -1), *anchors, (r1 - r0, h1 - h0)]
            for (ra, ha), (rb, hb) in itertools.pairwise(edges):
                waiting.append((r0 + ra + 1, r0 + rb, h0 + ha + 1, h0 + hb))
    return sorted(pairs)


def _anchors(reference: Sequence[str], recognised: Sequence[str]) -> list[Pair]:
    """The longest rising chain of runs that both sides have once, for the longest run that gives any."""
    for size in RUNS:
        sides = []
        for words in (reference, recognised):
            runs = [tuple(words[i : i + size]) for i in range(len(words) - size + 1)]
            counts = Counter(runs)
            sides.append({run: i for i, run in enumerate(runs) if counts[run] == 1})
        both = sorted((r, sides[1][run]) for run, r in sides[0].items() if run in sides[1])
        if both:
            chain = _rising(both)
            return sorted({(r + k, h + k) for r, h in chain for k in range(size)}) if _disjoint(chain, size) else chain
    return []


def _disjoint(chain: Sequence[Pair], size: int) -> bool:
    """Whether whole runs stay in rising order: overlapping ones must be shifted alike on both sides."""
    pairs = sorted({(r + k, h + k) for r, h in chain for k in range(size)})
    return all(a[0] < b[0] and a[1] < b[1] for a, b in itertools.pairwise(pairs))


def _rising(pairs: Sequence[Pair]) -> list[Pair]:
    """The longest part of `pairs` (sorted by the first) whose seconds rise as well."""
    ends: list[int] = []
    tails: list[int] = []
    before: list[int] = []
    for index, (_, h) in enumerate(pairs):
        at = bisect_left(ends, h)
        before.append(tails[at - 1] if at else -1)
        if at == len(ends):
            ends.append(h)
            tails.append(index)
        else:
            ends[at], tails[at] = h, index
    chain, index = [], tails[-1]
    while index >= 0:
        chain.append(pairs[index])
        index = before[index]
    return chain[::-1]


def distance_path(reference: Sequence[str], recognised: Sequence[str]) -> list[Pair]:
    """Pairs on the cheapest path through two rows of words (or letters)."""
    n, m = len(reference), len(recognised)
    steps = np.arange(m + 1, dtype=np.float32)
    table = np.zeros((n + 1, m + 1), np.float32)
    table[0] = steps
    costs = np.zeros((n, m), np.float32)
    for i, word in enumerate(reference):
        costs[i] = [cost(word, other) for other in recognised]
        best = table[i] + 1
        best[1:] = np.minimum(best[1:], table[i, :-1] + costs[i])
        table[i + 1] = np.minimum.accumulate(best - steps) + steps  # insertions run along the row
    pairs = []
    i, j = n, m
    while i and j:
        if np.isclose(table[i, j], table[i - 1, j - 1] + costs[i - 1, j - 1]):
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif np.isclose(table[i, j], table[i - 1, j] + 1):
            i -= 1
        else:
            j -= 1
    return pairs[::-1]


def cost(one: str, other: str) -> float:
    """Of taking one word for the other: 0 to 1 where they are alike, more where they are not."""
    if one == other:
        return 0.0
    likeness = similarity(one, other)
    return 1.2 * (1 - likeness) if likeness >= ALIKE else OTHER


@lru_cache(maxsize=1 << 18)
def similarity(one: str, other: str) -> float:
    """How alike two words are spelled, 0 to 1.

    >>> similarity("colour", "color") > 0.9, similarity("cat", "dog")
    (True, 0.0)
    """
    longest = max(len(one), len(other), 1)
    if abs(len(one) - len(other)) > longest / 2 or not set(one) & set(other):
        return 0.0
    return SequenceMatcher(None, one, other, autojunk=False).ratio()
