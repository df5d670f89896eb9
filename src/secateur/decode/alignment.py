"""When each token was spoken, from the cross-attention weights while it was decoded.

The reference's method (openai/whisper, `timing.py`) with two differences. All heads are averaged: a pruned model has no
list of those that follow the audio, and against PocketSphinx's forced alignment (44 clips, 700 words) all heads were
nearer than OpenAI's list for tiny.en (median 50 ms against 110), the sharpest, or those with the best path. And a
border inside a pause moves to where sound begins or ends.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..text.languages import by_characters
from ..text.tokenizer import Tokenizer
from .segments import Audio, Word, confidence
from .session import DecoderSession, Floats, State

MEDIAN = 7  # positions, as the reference filters
FRAME_MS = 10  # of the frames whose loudness says where sound begins
PAUSE = 0.8  # seconds without sound, at which segments end
SLACK = 0.2  # seconds that a token may lie outside of its segment's timestamps
OUTSIDE = 10.0  # evidence against a position outside of them, in standard deviations
QUIET = 0.1  # of a window's loudness (its 90th percentile): below, nobody speaks


def token_times(
    session: DecoderSession, state: State, prompts: Sequence[Sequence[int]], rows: Sequence[Sequence[int]],
    seconds: Sequence[float], within: Sequence[tuple[float, float]] | None = None,
) -> list[NDArray[np.float64]]:  # fmt: skip
    """For each encoded clip of `state` the borders (n + 1,) in seconds between its n text tokens.

    Args:
        prompts: what each row's decoding started from, all of one length.
        seconds: the length of each clip.
        within: of the only row, between which seconds each token was spoken, where timestamp tokens say so.

    Raises:
        SecateurError: an export that leaves attention out.
    """
    before, longest = len(prompts[0]), max(map(len, rows))
    table = np.full((len(rows), before + longest), session.config.tokens.end, np.int64)
    for line, start, row in zip(table, prompts, rows, strict=True):
        line[:before], line[before : before + len(row)] = start, row
    # The position that reads a token writes the next one; the last one's writes the end.
    attention = session.attention(table[:, : session.config.text_context], state)[:, :, before - 1 :]
    step, times = session.config.position_seconds, []
    for weights, row, length in zip(attention, rows, seconds, strict=True):
        positions = min(weights.shape[2], max(1, round(length / step)))
        evidence = _evidence(weights[:, : len(row) + 1, :positions])
        if within is not None:
            evidence = evidence - OUTSIDE * _outside(within, evidence.shape, step)
        steps = monotonic(evidence)
        borders = np.concatenate([steps, np.full(len(row) + 1 - len(steps), positions)])
        times.append(np.minimum(borders * step, length))
    return times


def _outside(within: Sequence[tuple[float, float]], shape: tuple[int, ...], step: float) -> NDArray[np.bool_]:
    """Which positions (n, positions) of `step` seconds are no token's own, by the times that each lies between."""
    at = (np.arange(shape[1]) + 0.5) * step
    spans = np.array([*within, (within[-1][1], np.inf)])[: shape[0]]  # what follows the last token is the end
    return (at < spans[:, :1] - SLACK) | (at > spans[:, 1:] + SLACK)


def _evidence(weights: Floats) -> Floats:
    """Attention (heads, n, positions) as one table (n, positions), the mean over tokens of each position taken out."""
    deviation = weights.std(1, keepdims=True)
    scores = (weights - weights.mean(1, keepdims=True)) / np.maximum(deviation, 1e-9)
    if scores.shape[2] > MEDIAN:
        half = MEDIAN // 2
        padded = np.pad(scores, ((0, 0), (0, 0), (half, half)), mode="reflect")
        scores = np.median(np.lib.stride_tricks.sliding_window_view(padded, MEDIAN, axis=2), axis=3)
    mean: Floats = scores.mean(0)
    return mean


def monotonic(evidence: NDArray[np.floating]) -> NDArray[np.int64]:
    """Where each row of `evidence` (n, positions) begins when rows follow each other, every position in one row.

    The path with the largest sum (dynamic time warping, each row at least one position long). Rows beyond the number
    of positions are left out.

    >>> monotonic(np.array([[5, 5, 0, 0, 0], [0, 0, 0, 5, 5]])).tolist()
    [0, 2]
    """
    n, length = evidence.shape
    n = min(n, length)
    best = np.full(n, -np.inf)
    best[0] = 0.0
    moved = np.zeros((length, n), bool)
    earlier = np.full(n, -np.inf)
    for t in range(length):
        if t:
            earlier[1:] = best[:-1]
            moved[t] = earlier > best
            best = np.maximum(best, earlier)
        best = best + evidence[:n, t]
    starts = np.zeros(n, np.int64)
    row = n - 1
    for t in range(length - 1, 0, -1):
        if row and moved[t, row]:
            starts[row] = t
            row -= 1
    return starts


def words_of(
    ids: Sequence[int], borders: NDArray[np.float64], log_probs: Sequence[float], tokenizer: Tokenizer, language: str,
    loud: NDArray[np.bool_],
) -> list[tuple[int, Word]]:  # fmt: skip
    """The words of text tokens `ids`, each with the place of its first token.

    Args:
        borders: of the tokens, (n + 1,), in seconds.
        loud: which frames of the clip hold sound (see `loud_frames`).
    """
    words, silences = [], pauses(loud)
    for first, after in word_pieces(ids, tokenizer.decode, language):
        text = tokenizer.decode(ids[first:after]).strip()
        if text:
            start, end = one_side(*sounding(float(borders[first]), float(borders[after]), loud), silences, loud)
            words.append((first, Word(text, round(start, 3), round(end, 3), confidence(log_probs[first:after]))))
    return words


def loud_frames(clip: Audio, rate: int) -> NDArray[np.bool_]:
    """Which frames of `FRAME_MS` of a clip (samples,) at `rate` Hz are not part of a pause."""
    size = rate * FRAME_MS // 1000
    frames = len(clip) // size
    if not frames:
        return np.ones(1, bool)
    level = np.sqrt(np.square(clip[: frames * size].reshape(frames, size)).mean(1))
    loud: NDArray[np.bool_] = level >= QUIET * np.percentile(level, 90)
    return loud


def pauses(loud: NDArray[np.bool_]) -> list[tuple[float, float]]:
    """Start and end (seconds) of every stretch of `PAUSE` seconds or more without sound, between sound.

    >>> pauses(np.repeat([False, True, False, True], [90, 30, 85, 30]))
    [(1.2, 2.05)]
    """
    places = np.flatnonzero(loud)
    gaps = [(a + 1, b) for a, b in itertools.pairwise(places.tolist()) if (b - a - 1) * FRAME_MS >= 1000 * PAUSE]
    return [(a * FRAME_MS / 1000, b * FRAME_MS / 1000) for a, b in gaps]


def sounding(start: float, end: float, loud: NDArray[np.bool_]) -> tuple[float, float]:
    """`start` and `end` (seconds) without the pauses before and after; unchanged where all is quiet."""
    frame = FRAME_MS / 1000
    first = min(int(start / frame), len(loud) - 1)
    inside = np.flatnonzero(loud[first : max(first + 1, int(np.ceil(end / frame)))])
    if not len(inside):
        return start, end
    return max(start, (first + int(inside[0])) * frame), min(end, (first + int(inside[-1]) + 1) * frame)


def one_side(
    start: float, end: float, silences: Sequence[tuple[float, float]], loud: NDArray[np.bool_]
) -> tuple[float, float]:
    """What nobody speaks a word over: of `start` to `end` (seconds), the stretch between silences with most sound."""
    inside = [(a, b) for a, b in silences if start <= a and b <= end]
    parts = list(zip([start, *(b for _, b in inside)], [*(a for a, _ in inside), end], strict=True))

    def sound(part: tuple[float, float]) -> int:
        first, after = (round(1000 * seconds / FRAME_MS) for seconds in part)
        return int(loud[first:after].sum())

    return max(parts, key=sound)


def spaced(language: str | None) -> bool:
    """Whether spaces separate the words of a language; they do where nothing is known of it."""
    return language is None or not by_characters(language)


def word_pieces(ids: Sequence[int], decode: Callable[[list[int]], str], language: str | None) -> list[tuple[int, int]]:
    """The ids `(first, after)` of each word: a space begins one; in a language without spaces every character does."""
    starts, before = [], ""
    by_space = spaced(language)
    for k in range(len(ids)):
        text = decode(list(ids[: k + 1]))
        whole = not before.endswith("\ufffd")  # else this id ends a character that an earlier one began
        new = text[len(before) :] if whole else ""
        if k == 0 or (new[:1].isspace() if by_space else any(c.isalnum() or c == "\ufffd" for c in new)):
            starts.append(k)
        before = text
    return list(zip(starts, [*starts[1:], len(ids)], strict=True))
