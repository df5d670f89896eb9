"""N-gram models from texts: modified Kneser-Ney smoothing, interpolated (Chen and Goodman 1998, section 3)."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..base.errors import SecateurError, several
from ..text.normalise import spoken
from .ngram import END, NEVER, START, UNKNOWN, NGram
from .tables import Grams, build

Gram = tuple[str, ...]


def train_ngram(texts: Iterable[str], order: int = 3, vocabulary: Iterable[str] = ()) -> NGram:
    """A model of `order` on `texts`, spelled as they are spoken; words of `vocabulary` that they lack are rare ones.

    Orders below the highest count in how many contexts an n-gram was seen, not how often; each order's discounts
    (for n-grams seen once, twice, more often) come from its own counts of counts, and what they take off goes to the
    order below. Below single words stands an even share for every word and <unk>.

    Raises:
        SecateurError: no text, or an order below 1.
    """
    sentences = [[START, *spoken(text).split(), END] for text in several("train_ngram", texts) if spoken(text)]
    if not sentences or order < 1:
        raise SecateurError("a language model needs texts, and n-grams of at least one word")
    counts: list[Counter[Gram]] = [Counter() for _ in range(order)]
    for words in sentences:
        for n in range(1, order + 1):
            counts[n - 1].update(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
    for n in range(order - 1):  # in how many contexts; what begins with the start has only that one
        contexts: Counter[Gram] = Counter(gram[1:] for gram in counts[n + 1])
        counts[n] = Counter({g: counts[n][g] if g[0] == START else contexts[g] for g in counts[n]})
    counts[0].pop((START,), None)
    words = sorted({w for s in sentences for w in s[1:]} | set(vocabulary) - {START, END, UNKNOWN} | {UNKNOWN})
    grams: list[Grams] = [{} for _ in range(order)]
    probabilities, _ = _smoothed(counts[0], {(word,) for word in words}, lambda gram: 1 / len(words))
    grams[0] = {gram: (math.log(p), 0.0) for gram, p in probabilities.items()}
    grams[0][(START,)] = (NEVER, 0.0)
    for n in range(1, order):
        probabilities, backoffs = _smoothed(counts[n], set(counts[n]), _Shorter(probabilities))
        grams[n] = {gram: (math.log(p), 0.0) for gram, p in probabilities.items()}
        for context, share in backoffs.items():
            grams[n - 1][context] = (grams[n - 1][context][0], math.log(share))
    return build([START, *words], grams)


@dataclass(frozen=True)
class _Shorter:
    """The probability of an n-gram without its first word."""

    probabilities: dict[Gram, float]

    def __call__(self, gram: Gram) -> float:
        return self.probabilities[gram[1:]]


def _smoothed(
    counts: Counter[Gram], grams: set[Gram], shorter: Callable[[Gram], float]
) -> tuple[dict[Gram, float], dict[Gram, float]]:
    """Probabilities of `grams`, and the share that every context leaves to shorter ones."""
    off = _discounts(counts)
    total: dict[Gram, int] = defaultdict(int)
    discounted: dict[Gram, float] = defaultdict(float)
    for gram, count in counts.items():
        total[gram[:-1]] += count
        discounted[gram[:-1]] += off[min(count, 3)]
    share = {context: discounted[context] / total[context] for context in total}
    probabilities = {}
    for gram in grams:
        context, count = gram[:-1], counts.get(gram, 0)
        own = max(count - off[min(count, 3)], 0.0) / total[context]
        probabilities[gram] = own + share[context] * shorter(gram)
    return probabilities, share


def _discounts(counts: Counter[Gram]) -> tuple[float, float, float, float]:
    """What is taken off n-grams seen 0, 1, 2, and 3 or more times; 0.5 where too few were seen."""
    counts_of = Counter(min(count, 4) for count in counts.values())
    n1, n2, n3, n4 = (counts_of[i] for i in (1, 2, 3, 4))
    if not (n1 and n2 and n3):
        return 0.0, 0.5, 0.5, 0.5
    y = n1 / (n1 + 2 * n2)
    discounts = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
    first, second, more = (min(max(d, 0.1), i - 0.1) for i, d in enumerate(discounts, 1))
    return 0.0, first, second, more
