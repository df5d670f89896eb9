"""Word and character error rates on normalised text, through kaldialign's Levenshtein alignment.

Rate = (substitutions + deletions + insertions) / reference units; over a corpus the counts are summed first, so long
utterances weigh more. Insertions can bring a rate above 1. Where a reference is empty, every word of the hypothesis is
an insertion: it counts in the sum, while the clip by itself has no rate (nan).

In several languages each text is counted in the units of its own (`metric_for`); the sum over words and characters is
then the mixed error rate ("mer"), which also counts text that switches between scripts: a character of a script without
spaces is a unit, and so is a word of any other.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ..base.errors import SecateurError
from ..base.extras import require
from ..text.chinese import HAN
from ..text.languages import by_characters
from ..text.normalise import normaliser

Metric = Literal["wer", "cer", "mer", "per"]  # words, characters, both by script, or phones with spaces between them
GAP = "\0"  # never part of a transcript
# Han, kana, Thai, Lao, Khmer, Burmese, Tibetan, Yi: written without spaces. Everything else runs to the next space.
_UNSPACED = f"{HAN}\u3005\u3040-\u30ff\u31f0-\u31ff\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\ua000-\ua48f"
_MIXED = re.compile(f"[{_UNSPACED}]|[^\\s{_UNSPACED}]+")

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
        """Substitutions, deletions and insertions together."""
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
    return "cer" if by_characters(language) else "wer"


def overall_metric(languages: Iterable[str]) -> Metric:
    """What texts in several languages are measured in: what all of them are, else `mer`.

    >>> overall_metric(["en", "de"]), overall_metric(["en", "zh"])
    ('wer', 'mer')
    """
    metrics = {metric_for(language) for language in languages}
    return metrics.pop() if len(metrics) == 1 else "mer"


def units(text: str, metric: Metric) -> list[str]:
    """What is counted: words, characters without spaces, or whichever the script of each part is counted in.

    >>> units("turn it on", "wer"), units("开 灯", "cer"), units("打开 wifi", "mer")
    (['turn', 'it', 'on'], ['开', '灯'], ['打', '开', 'wifi'])
    """
    if metric in ("wer", "per"):
        return text.split()
    if metric == "cer":
        return list("".join(text.split()))
    if metric == "mer":
        return [unit for unit in _MIXED.findall(text) if unit]
    raise SecateurError(f"metric '{metric}' is not known (known: wer, cer, mer, per)")


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


@dataclass(frozen=True)
class Compared:
    """Two texts as they were compared, and the errors of the second."""

    reference: str
    hypothesis: str
    counts: Counts


def compare_texts(
    reference: str, hypothesis: str, language: str, scheme: str | None = None, metric: Metric | None = None
) -> Compared:
    """Both texts normalised as their language asks, or by `scheme`, and counted in its units, or in `metric`.

    Phones ("per") are compared as they are.

    Raises:
        SecateurError: an unknown language, scheme or metric, or a package that the rules need is not installed.
    """
    chosen = metric or metric_for(language)
    if chosen != "per":
        clean = normaliser(language, scheme)
        reference, hypothesis = clean(reference), clean(hypothesis)
    return Compared(reference, hypothesis, count_errors(reference, hypothesis, chosen))


def total(counts: Iterable[Counts]) -> Counts:
    """The sum over a corpus."""
    return sum(counts, Counts(0, 0, 0, 0))


def confusions(texts: Iterable[tuple[str, str]], metric: Metric = "wer", most: int = 20) -> list[tuple[Pair, int]]:
    """The `most` frequent errors over (reference, hypothesis) texts, as pairs with their counts.

    >>> confusions([("a b", "a c"), ("b", "c d")])
    [(('b', 'c'), 2), ((None, 'd'), 1)]
    """
    counts: Counter[Pair] = Counter()
    for reference, hypothesis in texts:
        counts.update(pair for pair in align(reference, hypothesis, metric) if pair[0] != pair[1])
    return counts.most_common(most)
