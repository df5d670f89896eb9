"""CTC decoding with times: which frames wrote each unit, and so each word; known units are aligned with
their likeliest frames (Viterbi over CTC's own paths)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...text.units import Inventory
from ..alignment import word_pieces
from ..segments import Segment, Word, confidence

Spans = tuple[list[int], list[tuple[int, int]], list[float]]
BLANK = 0


def spans(log_probs: NDArray[np.floating]) -> tuple[list[int], list[tuple[int, int]], list[float]]:
    """The units of `greedy`, the frames `(first, after)` that wrote each, and its highest log probability there.

    >>> spans(np.log(np.eye(3)[[1, 1, 0, 1, 2]] + 1e-9))[:2]
    ([1, 1, 2], [(0, 2), (3, 4), (4, 5)])
    """
    if not len(log_probs):
        return [], [], []
    best = np.asarray(log_probs).argmax(1)
    borders = np.flatnonzero(np.concatenate([[True], best[1:] != best[:-1], [True]])).tolist()
    runs = [(a, b) for a, b in itertools.pairwise(borders) if best[a] != BLANK]
    units = [int(best[a]) for a, _ in runs]
    return units, runs, [float(log_probs[a:b, unit].max()) for (a, b), unit in zip(runs, units, strict=True)]


def decode_frames(
    log_probs: NDArray[np.floating], codec: Inventory, seconds: float, frame_seconds: float, language: str | None,
    word_times: bool, hypothesis: str | None = None,
) -> Segment | None:  # fmt: skip
    """One clip of `seconds` from `log_probs` (frames, units), `frame_seconds` apart; None where nothing was recognised.

    `codec` is the model's text codec. A word lasts from the first frame that wrote one of its units to the last one.
    The `hypothesis` of a beam search, where given, is aligned with the frames instead of the greedy one.
    """
    units, frames, sure = spans(log_probs)
    if hypothesis is None:
        hypothesis = codec.decode(units)
    else:
        units, frames, sure = align(log_probs, codec.encode(hypothesis)) or (units, frames, sure)
    if not hypothesis or not units:
        return None
    words = []
    for first, after in word_pieces(units, codec.decode, language) if word_times else ():
        word = codec.decode(units[first:after])
        if word:
            # A space that ends the word is no part of it.
            spoken = [k for k in range(first, after) if codec.decode([units[k]]).strip()]
            start, end = frames[spoken[0]][0] * frame_seconds, frames[spoken[-1]][1] * frame_seconds
            words.append(Word(word, round(start, 3), round(min(end, seconds), 3), confidence(sure[first:after])))
    each = tuple(round(p, 4) for p in sure)
    mean = sum(each) / len(each)
    return Segment(0.0, seconds, hypothesis, mean, None, tuple(units), each, confidence(each), tuple(words))


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


def greedy(log_probs: NDArray[np.floating]) -> list[int]:
    """Units of one clip from `log_probs` (frames, units).

    >>> path = [1, 1, 0, 1, 2, 2, 0]
    >>> greedy(np.log(np.eye(3)[path] + 1e-9))
    [1, 1, 2]
    """
    if not len(log_probs):
        return []
    best = np.asarray(log_probs).argmax(1)
    first = np.concatenate([[True], best[1:] != best[:-1]])
    return [int(unit) for unit in best[first & (best != BLANK)]]
