"""Forced alignment: the likeliest frames of units that are known to be spoken (Viterbi over CTC's own paths)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .greedy import BLANK

Spans = tuple[list[int], list[tuple[int, int]], list[float]]


def align(log_probs: NDArray[np.floating], units: Sequence[int]) -> Spans | None:
    """The units, the frames `(first, after)` that wrote each, and its highest log probability there.

    None when the clip, `log_probs` (frames, outputs), is too short for them.

    >>> align(np.log(np.eye(3)[[1, 1, 0, 1, 2]] + 1e-9), [1, 1, 2])[1]
    [(0, 2), (3, 4), (4, 5)]
    """
    states = np.full(2 * len(units) + 1, BLANK)
    states[1::2] = units
    leap = np.zeros(len(states), bool)  # from the unit before, over the blank between, where the two differ
    leap[3::2] = states[3::2] != states[1:-2:2]
    best = np.full(len(states), -np.inf)
    best[0] = 0.0
    back = np.zeros((len(log_probs), len(states)), np.int8)
    for t, frame in enumerate(np.asarray(log_probs, np.float64)):
        step = np.concatenate([[-np.inf], best[:-1]])
        over = np.where(leap, np.concatenate([[-np.inf, -np.inf], best[:-2]])[: len(states)], -np.inf)
        # Before the first frame there is one place to be: its first state is the blank or the first unit.
        choices = np.stack([best, step, over])
        back[t] = choices.argmax(0)
        best = choices.max(0) + frame[states]
    state = len(states) - 1 if len(states) < 2 or best[-1] >= best[-2] else len(states) - 2
    if not len(log_probs) or best[state] == -np.inf:
        return None
    frames: list[list[int]] = [[] for _ in units]
    for t in range(len(log_probs) - 1, -1, -1):
        if state % 2:
            frames[state // 2].append(t)
        state -= int(back[t, state])
    frame_spans = [(min(f), max(f) + 1) for f in frames]
    sure = [float(log_probs[a:b, unit].max()) for (a, b), unit in zip(frame_spans, units, strict=True)]
    return list(units), frame_spans, sure
