"""From numbers a clip to the map: paired intervals by speaker, corrected for how many comparisons there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..data.manifest import Utterance
from ..evaluate.bootstrap import RESAMPLES, Difference, holm, paired_difference, two_sided
from ..prune.sensitivity_map import Effect

BASELINE = "nothing@0"  # the model as it is
Rows = Mapping[str, Sequence[float]]  # of the model as it is ("nothing") and of every variant, a number a clip


def differences(rows: Rows, totals: Sequence[float], speakers: Sequence[str], resamples: int) -> dict[str, Difference]:
    """Every variant against the model as it is, on the same clips and resamples."""
    before = rows[BASELINE]
    return {
        name: paired_difference(before, row, totals, speakers, resamples=resamples)
        for name, row in rows.items()
        if name != BASELINE
    }


def effects(
    groups: Sequence[tuple[Mapping[str, Difference], int]], resamples: int, tried: int = 0
) -> dict[str, Effect]:
    """`(differences, clips)` of one or more sets of clips as effects; Holm's correction counts all of them, and those
    `tried` but left out as well, since the others were selected from all.

    With n speakers p is at least 2 / 2^n, that of a sign test, however large the effect.
    """
    raw = {
        name: max(two_sided(d, resamples), 2.0 ** (1 - d.clusters)) for each, _ in groups for name, d in each.items()
    }
    adjusted = holm(raw | {f"left out {i}": 1.0 for i in range(tried - len(raw))})
    return {
        name: Effect(
            round(d.delta, 6), round(d.low, 6), round(d.high, 6), round(raw[name], 6), round(adjusted[name], 6), clips
        )
        for each, clips in groups
        for name, d in each.items()
    }


def resamples_for(comparisons: int) -> int:
    """Enough resamples that a comparison can be significant after correction."""
    return max(RESAMPLES, 100 * comparisons)


def candidates(rows: Rows, totals: Sequence[float], count: int) -> list[str]:
    """Names of the `count` variants to measure on more clips: seven of eight are those with the smallest increase, the
    others those with the largest."""
    before, total = np.sum(rows[BASELINE]), max(np.sum(totals), 1)
    deltas = {name: (np.sum(row) - before) / total for name, row in rows.items() if name != BASELINE}
    ranked = sorted(deltas, key=lambda name: (deltas[name], name))
    if count >= len(ranked):
        return ranked
    best = -(-7 * count // 8)
    return ranked[:best] + ranked[len(ranked) - (count - best) :]


def speakers_of(utterances: Sequence[Utterance], clips: Sequence[int]) -> list[str]:
    """The speaker of every clip."""
    return [utterances[c].speaker for c in clips]
