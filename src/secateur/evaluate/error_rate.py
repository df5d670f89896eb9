"""Word and character error rates on normalised text, through kaldialign's Levenshtein alignment.

Rate = (substitutions + deletions + insertions) / reference units; over a corpus the counts are summed first, so long
utterances weigh more. Insertions can bring a rate above 1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ..base.errors import SecateurError
from ..base.extras import require
from ..text.normalise import CHARACTER_LANGUAGES, base_language

Metric = Literal["wer", "cer", "per"]  # of words, characters, or phones with spaces between them
GAP = "\0"  # never part of a transcript

Pair = tuple[str | None, str | None]


@dataclass(frozen=True)
class Counts:
    """Errors of one utterance, or the sum over many, and the length of the reference in words (or characters)."""

    substitutions: int
    deletions: int
    insertions: int
    reference: int

    @property
    def errors(self) -> int:
        """All three kinds."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """Errors a reference unit; nan without a reference."""
        return self.errors / self.reference if self.reference else float("nan")

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
            self.reference + other.reference,
        )


def metric_for(language: str) -> Metric:
    """`cer` for languages written without spaces between words, else `wer`."""
    return "cer" if base_language(language) in CHARACTER_LANGUAGES else "wer"


def units(text: str, metric: Metric) -> list[str]:
    """What is counted: words, or characters without spaces.

    >>> units("turn it on", "wer"), units("开 灯", "cer")
    (['turn', 'it', 'on'], ['开', '灯'])
    """
    if metric in ("wer", "per"):
        return text.split()
    if metric == "cer":
        return list("".join(text.split()))
    raise SecateurError(f"metric '{metric}' is not known (known: wer, cer, per)")


def align(reference: str, hypothesis: str, metric: Metric = "wer") -> list[Pair]:
    """The shortest edit path as pairs; None on the left is an insertion, None on the right a deletion."""
    kaldialign = require("kaldialign", "train")
    pairs = kaldialign.align(units(reference, metric), units(hypothesis, metric), GAP)
    return [(None if left == GAP else left, None if right == GAP else right) for left, right in pairs]


def count_errors(reference: str, hypothesis: str, metric: Metric = "wer") -> Counts:
    """Errors of one normalised `hypothesis` against its normalised `reference`."""
    substitutions = deletions = insertions = same = 0
    for left, right in align(reference, hypothesis, metric):
        if left == right:
            same += 1
        elif left is None:
            insertions += 1
        elif right is None:
            deletions += 1
        else:
            substitutions += 1
    return Counts(substitutions, deletions, insertions, same + substitutions + deletions)


def total(counts: Iterable[Counts]) -> Counts:
    """The sum over a corpus."""
    return sum(counts, Counts(0, 0, 0, 0))


def confusions(texts: Iterable[tuple[str, str]], metric: Metric = "wer", most: int = 20) -> list[tuple[Pair, int]]:
    """The `most` frequent errors over (reference, hypothesis) texts, as pairs with their counts.

    >>> confusions([("a b", "a c"), ("b", "c d")])
    [(('b', 'c'), 2), ((None, 'd'), 1)]
    """
    found: Counter[Pair] = Counter()
    for reference, hypothesis in texts:
        found.update(pair for pair in align(reference, hypothesis, metric) if pair[0] != pair[1])
    return found.most_common(most)
