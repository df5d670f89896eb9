"""Many comparisons at once: Holm's correction keeps the chance of any false claim below the level (Holm 1979)."""

from __future__ import annotations

from collections.abc import Mapping

from .bootstrap import RESAMPLES, Difference


def two_sided(difference: Difference, resamples: int = RESAMPLES) -> float:
    """The bootstrap's two-sided p value; never below what the number of resamples can show."""
    worse = 1 - difference.b_better
    return min(1.0, 2 * max(min(difference.b_better, worse), 1 / (resamples + 1)))


def holm(values: Mapping[str, float]) -> dict[str, float]:
    """Adjusted p values, compared with the level as usual: the i-th smallest of m is multiplied by m - i + 1.

    >>> holm({"a": 0.01, "b": 0.04, "c": 0.03})
    {'a': 0.03, 'b': 0.06, 'c': 0.06}
    """
    adjusted: dict[str, float] = {}
    highest = 0.0
    for rank, name in enumerate(sorted(values, key=lambda n: values[n])):
        highest = max(highest, min(1.0, (len(values) - rank) * values[name]))
        adjusted[name] = highest
    return {name: adjusted[name] for name in values}
