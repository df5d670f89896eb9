"""How sure an error rate is: intervals by resampling speakers, for one system and for the difference of two.

Utterances of one speaker rise and fall together, so whole speakers are drawn with replacement and the rate is the
ratio of sums over the drawn ones (Bisani & Ney 2004, "Bootstrap estimates for confidence intervals in ASR performance
evaluation"; clusters as in Field & Welsh 2007). The percentile interval of few clusters is too narrow, so its tails
are expanded to the t distribution (Hesterberg 2015, section 3.3): 2 % wider with 75 speakers, 44 % with 6. Below
6 speakers even that is too narrow (there are too few different resamples): read such intervals as a lower bound.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..base.errors import SecateurError

RESAMPLES = 10_000
LEVEL = 0.95

Floats = NDArray[np.float64]


FEWEST = 6  # clusters; below, intervals are a lower bound (see above)
WIDE = 0.25  # of the rate: half an interval that leaves little to say
WIDE_DIFFERENCE = 0.1  # of A's rate: half an interval that hides the differences that models usually have
DRAWN = 4_000_000  # values of one matrix of draws: bounds memory with thousands of clusters


@dataclass(frozen=True)
class Difference:
    """System B against system A on the same clips; rates and differences are fractions, negative means B is better."""

    a: float
    b: float
    delta: float
    low: float
    high: float
    b_better: float  # probability, ties count half
    clusters: int

    @property
    def certain(self) -> bool:
        """The interval excludes zero."""
        return self.low > 0 or self.high < 0


def too_few(rate: float, interval: Sequence[float], clusters: int) -> str:
    """A line that says so when an interval is too wide, or has too few speakers (or clips), to read a rate from it.

    >>> too_few(0.2, (0.19, 0.21), 40)
    ''
    >>> too_few(0.2, (0.1, 0.32), 12)
    'too few clips to tell: the rate is known to ±11.0 points only'
    """
    if math.isnan(rate):
        return ""
    half = (interval[1] - interval[0]) / 2
    if half > WIDE * rate and half > 0.005:
        return f"too few clips to tell: the rate is known to ±{100 * half:.1f} points only"
    if clusters < FEWEST:
        return f"too few clips to tell: an interval over {_units(clusters)} is too narrow"
    return ""


def _units(count: int) -> str:
    return "1 speaker or clip" if count == 1 else f"{count} speakers or clips"


def too_few_to_compare(difference: Difference) -> str:
    """A line that says so when a difference is not certain and could hardly have been.

    >>> too_few_to_compare(Difference(0.2, 0.19, -0.01, -0.06, 0.04, 0.6, 12))
    'too few clips to tell: only a difference beyond ±5.0 points would show'
    """
    half = (difference.high - difference.low) / 2
    if not difference.certain and half > WIDE_DIFFERENCE * max(difference.a, difference.b):
        return f"too few clips to tell: only a difference beyond ±{100 * half:.1f} points would show"
    if difference.clusters < FEWEST:
        return f"too few clips to tell: an interval over {_units(difference.clusters)} is too narrow"
    return ""


def clusters(speakers: Sequence[Hashable]) -> NDArray[np.intp]:
    """Cluster numbers (utterances,). A clip without a speaker (None or "") is its own cluster.

    With fewer than two speakers there is nothing to resample: every clip is then its own cluster.
    """
    numbers: dict[Hashable, int] = {}
    labels = [numbers.setdefault(("clip", i) if s in (None, "") else s, len(numbers)) for i, s in enumerate(speakers)]
    return np.arange(len(labels)) if len(numbers) < 2 else np.asarray(labels)


def rate_interval(
    errors: ArrayLike, words: ArrayLike, speakers: Sequence[Hashable], *,
    level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0,
) -> tuple[float, float]:  # fmt: skip
    """The interval of sum(errors) / sum(words).

    `errors` (utterances,) or, of several training seeds, (seeds, utterances): those are averaged per utterance first.

    Raises:
        SecateurError: lengths differ, or there are no reference words.
    """
    error_sums, word_sums = _per_cluster([errors], words, speakers)
    (rates,) = _resampled(error_sums, word_sums, resamples, seed)
    return _interval(rates, level, len(word_sums))


def paired_difference(
    errors_a: ArrayLike, errors_b: ArrayLike, words: ArrayLike, speakers: Sequence[Hashable], *,
    level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0,
) -> Difference:  # fmt: skip
    """B against A on the same clips: both are read on every resample, so what is hard for both cancels.

    `errors_a` and `errors_b` are (utterances,) or (seeds, utterances); seeds are averaged per utterance first, which
    leaves the spread between seeds out of the interval: it speaks of the recipe's mean over these very seeds.

    Raises:
        SecateurError: lengths differ, or there are no reference words.
    """
    error_sums, word_sums = _per_cluster([errors_a, errors_b], words, speakers)
    rates_a, rates_b = _resampled(error_sums, word_sums, resamples, seed)
    deltas = rates_b - rates_a
    low, high = _interval(deltas, level, len(word_sums))
    a, b = (error_sums.sum(1) / word_sums.sum()).tolist()
    better = float(np.mean(deltas < -1e-12) + 0.5 * np.mean(np.abs(deltas) <= 1e-12))
    return Difference(a, b, b - a, low, high, better, len(word_sums))


def _per_cluster(systems: list[ArrayLike], words: ArrayLike, speakers: Sequence[Hashable]) -> tuple[Floats, Floats]:
    """Errors (systems, clusters) and words (clusters,)."""
    reference = np.asarray(words, dtype=np.float64)
    labels = clusters(speakers)
    if reference.shape != labels.shape:
        raise SecateurError(f"{reference.size} word counts for {labels.size} speakers: one of each a clip is needed")
    if reference.sum() <= 0:
        raise SecateurError("no reference words: an error rate needs transcripts")
    rows = []
    for errors in systems:
        values = np.asarray(errors, dtype=np.float64)
        values = values.mean(0) if values.ndim == 2 else values
        if values.shape != labels.shape:
            raise SecateurError(f"{values.size} error counts for {labels.size} clips: the clips must be the same")
        rows.append(np.bincount(labels, weights=values).astype(np.float64))
    return np.stack(rows), np.bincount(labels, weights=reference).astype(np.float64)


def _resampled(error_sums: Floats, word_sums: Floats, resamples: int, seed: int) -> Floats:
    """Rates (systems, resamples): how often each cluster is drawn is multinomial, so a resample is a matrix product."""
    parts = []
    for drawn in _draws(len(word_sums), resamples, seed):
        words = drawn @ word_sums
        # A resample can consist of clips without a word only; it says nothing.
        words[words == 0] = np.nan
        parts.append((drawn @ error_sums.T).T / words)
    return np.concatenate(parts, axis=1)


def _draws(count: int, resamples: int, seed: int) -> Iterable[Floats]:
    """How often each cluster is in each resample, (resamples, count), in parts of bounded size."""
    return _kept_draws(count, resamples, seed) if count * resamples <= DRAWN // 2 else _drawn(count, resamples, seed)


@lru_cache(maxsize=4)  # a study compares hundreds of arms on the same few sets: drawing was half of its report's time
def _kept_draws(count: int, resamples: int, seed: int) -> tuple[Floats, ...]:
    return tuple(_drawn(count, resamples, seed))


def _drawn(count: int, resamples: int, seed: int) -> Iterator[Floats]:
    random = np.random.default_rng(seed)
    step = max(1, DRAWN // count)
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        yield random.multinomial(count, np.full(count, 1 / count), size).astype(np.float64)


def _interval(values: Floats, level: float, count: int) -> tuple[float, float]:
    """The percentile interval with tails expanded for `count` clusters."""
    tail = expanded_tail((1 - level) / 2, count)
    low, high = np.nanquantile(values, [tail, 1 - tail])
    return float(low), float(high)


def expanded_tail(tail: float, count: int) -> float:
    """The percentile to read so that `count` clusters cover what `tail` promises (Hesterberg 2015, equation 7).

    Phi(-sqrt(n / (n - 1)) * t(1 - tail; n - 1)); for many clusters it is `tail` itself.
    """
    if count < 2:
        return tail
    return NormalDist().cdf(-math.sqrt(count / (count - 1)) * t_quantile(1 - tail, count - 1))


def t_quantile(p: float, freedom: int) -> float:
    """Student's t quantile: exact for 1 and 2 degrees of freedom, else the Cornish-Fisher series.

    Abramowitz & Stegun 26.7.5, four terms; at p = 0.975 it is 0.1 % low for 3 degrees and below 0.03 % off from 4 on.
    """
    if freedom == 1:
        return math.tan(math.pi * (p - 0.5))
    if freedom == 2:
        return (2 * p - 1) * math.sqrt(2 / (4 * p * (1 - p)))
    z, n = NormalDist().inv_cdf(p), freedom
    g1 = (z**3 + z) / 4
    g2 = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    g3 = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    g4 = (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160
    return z + g1 / n + g2 / n**2 + g3 / n**3 + g4 / n**4


def two_sided(difference: Difference, resamples: int = RESAMPLES) -> float:
    """The bootstrap's two-sided p value; never below what the number of resamples can show."""
    worse = 1 - difference.b_better
    return min(1.0, 2 * max(min(difference.b_better, worse), 1 / (resamples + 1)))


def holm(values: Mapping[str, float]) -> dict[str, float]:
    """p values adjusted so that the chance of any false claim stays below the level (Holm 1979): the i-th smallest of m
    is multiplied by m - i + 1.

    >>> holm({"a": 0.01, "b": 0.04, "c": 0.03})
    {'a': 0.03, 'b': 0.06, 'c': 0.06}
    """
    adjusted: dict[str, float] = {}
    highest = 0.0
    for rank, name in enumerate(sorted(values, key=lambda n: values[n])):
        highest = max(highest, min(1.0, (len(values) - rank) * values[name]))
        adjusted[name] = highest
    return {name: adjusted[name] for name in values}
