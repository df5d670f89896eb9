"""Utterances compared with what is recognised in each by itself: words on the wrong side of a pause change sides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .cut import Cut, WordTime
from .words import TextWord

MOVED = 2  # words at most that change sides
EDGE = 4  # words at an end that are compared
UNSURE = 0.5  # letters of the last (or first) two words that may be wrong
DOUBT = 0.5  # what a word that changes sides must save, in letters


def verify(
    cuts: Sequence[Cut], recognised: Sequence[str], text: Sequence[TextWord]
) -> tuple[list[Cut], dict[int, str]]:
    """Cuts with corrected words, without those whose ends stay doubtful; and the reasons of words that are left out.

    Args:
        cuts: utterances in order.
        recognised: the letters recognised in each of them, cut out and recognised by itself.
        text: all words of the transcript.
    """
    firsts, afters = [c.first for c in cuts], [c.after for c in cuts]
    for i in range(len(cuts) + 1):  # the border before utterance i
        left = i - 1 if i else None
        right = i if i < len(cuts) else None
        together = left is not None and right is not None and afters[left] == firsts[right]
        if together and left is not None and right is not None:
            borders = _around(afters[left], firsts[left] + 1, afters[right] - 1)
            before = [end_cost(text, firsts[left], k, recognised[left]) for k in borders]
            behind = [start_cost(text, k, afters[right], recognised[right]) for k in borders]
            at = _best([(k, a + b) for k, a, b in zip(borders, before, behind, strict=True)], afters[left])
            afters[left] = firsts[right] = at
            continue
        if left is not None:
            most = firsts[right] if right is not None else len(text)
            afters[left] = _best(
                [
                    (k, end_cost(text, firsts[left], k, recognised[left]))
                    for k in _around(afters[left], firsts[left] + 1, most)
                ],
                afters[left],
            )
        if right is not None:
            least = afters[left] if left is not None else 0
            firsts[right] = _best(
                [
                    (k, start_cost(text, k, afters[right], recognised[right]))
                    for k in _around(firsts[right], least, afters[right] - 1)
                ],
                firsts[right],
            )
    trusted: list[Cut] = []
    reasons: dict[int, str] = {}
    for one, first, after, hypothesis in zip(cuts, firsts, afters, recognised, strict=True):
        written = "".join(w.key for w in text[first:after])
        score = 1 - distance(written, hypothesis) / max(1, len(written))
        ends = max(
            end_cost(text, first, after, hypothesis, 2) / max(1, len(_last(text, first, after, 2))),
            start_cost(text, first, after, hypothesis, 2) / max(1, len(_first(text, first, after, 2))),
        )
        if ends > UNSURE:
            reasons |= dict.fromkeys(range(first, after), "its first or last words are not recognised")
        else:
            trusted.append(replace(one, first=first, after=after, score=round(max(0.0, score), 3)))
    return trusted, reasons


def _around(at: int, least: int, most: int) -> range:
    return range(max(least, at - MOVED), min(most, at + MOVED) + 1)


def _best(costs: Sequence[tuple[int, float]], now: int) -> int:
    """The cheapest border; the present one, unless another saves more than `DOUBT`."""
    return min(costs, key=lambda c: c[1] + DOUBT * abs(c[0] - now), default=(now, 0.0))[0]


def _last(text: Sequence[TextWord], first: int, after: int, words: int) -> str:
    return "".join(w.key for w in text[max(first, after - words) : after])


def _first(text: Sequence[TextWord], first: int, after: int, words: int) -> str:
    return "".join(w.key for w in text[first : min(after, first + words)])


def end_cost(text: Sequence[TextWord], first: int, after: int, recognised: str, words: int = EDGE) -> float:
    """Letters by which the last words of an utterance differ from the end of what was recognised in it."""
    return _anchored(_last(text, first, after, words)[::-1], recognised[::-1])


def start_cost(text: Sequence[TextWord], first: int, after: int, recognised: str, words: int = EDGE) -> float:
    """The same of its first words."""
    return _anchored(_first(text, first, after, words), recognised)


def _anchored(written: str, recognised: str) -> float:
    """The distance of `written` to the prefix of `recognised` that is nearest to it."""
    return float(_table(written, recognised[: 2 * len(written) + 8])[-1].min())


def distance(one: str, other: str) -> float:
    """The Levenshtein distance, in letters."""
    return float(_table(one, other)[-1, -1])


def _table(one: str, other: str) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    steps = np.arange(len(other) + 1, dtype=np.float32)
    table = np.zeros((len(one) + 1, len(other) + 1), np.float32)
    table[0] = steps
    letters = np.array(list(other))
    for i, letter in enumerate(one):
        best = table[i] + 1
        if len(other):
            best[1:] = np.minimum(best[1:], table[i, :-1] + (letters != letter))
        table[i + 1] = np.minimum.accumulate(best - steps) + steps
    return table


def inside(cuts: Sequence[Cut], words: Sequence[WordTime | None]) -> list[WordTime | None]:
    """Times of words within their utterances: those that changed sides get the room that the others leave."""
    times = list(words)
    for one in cuts:
        known = [
            (i, w)
            for i in range(one.first, one.after)
            if (w := words[i]) is not None and one.start < (w.start + w.end) / 2 < one.end
        ]
        for i, w in known:
            times[i] = replace(w, start=max(w.start, one.start), end=min(w.end, one.end))
        if not known:
            continue
        for lost, begin, end in (
            (range(one.first, known[0][0]), one.start, known[0][1].start),
            (range(known[-1][0] + 1, one.after), known[-1][1].end, one.end),
        ):
            step = max(0.0, end - begin) / max(1, len(lost))
            for step_number, i in enumerate(lost):
                times[i] = WordTime(begin + step_number * step, begin + (step_number + 1) * step, 0.0)
    return times
