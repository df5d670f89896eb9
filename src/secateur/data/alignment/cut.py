"""From matched words to utterances: what is trusted, and where to cut it at pauses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from .match import MOST_CELLS, Pair, distance_path, match, similarity
from .pauses import Pauses
from .words import RecognisedWord, TextWord

ALIKE = 0.6  # letters that a word must have in common with what was recognised
LETTERS = 4  # of a word, about
EXTRA = 2  # recognised words in a row that the text lacks: somebody says something else
RATE = (0.35, 2.8)  # times the usual length that words between others may take which were not recognised
REST = 2.0  # s of pauses among such words
UNLIKE = 4  # words that are recognised as something quite different are another passage
SAME = 0.3  # letters that such words must have in common with what was recognised
PAUSE = 0.12  # s, the shortest that an utterance may end at
EDGE = 0.3  # s from the recording's ends
MARGIN = 0.25  # s of a pause that an utterance keeps
IDEAL = 8.0  # s


@dataclass(frozen=True)
class CutSettings:
    """What utterances should be like."""

    min_seconds: float = 2.0
    max_seconds: float = 20.0
    least_score: float = 0.5


@dataclass(frozen=True)
class WordTime:
    """When a word of the text is spoken, and how sure that is."""

    start: float  # s
    end: float
    likeness: float  # 1: recognised as it is written; 0: only its neighbours were


@dataclass(frozen=True)
class Cut:
    """An utterance: words `first` up to `after` of the text, from `start` to `end` (s)."""

    first: int
    after: int
    start: float
    end: float
    score: float  # share of its words that were recognised, less what was recognised beside them


@dataclass(frozen=True)
class Gap:
    """Words of the text that are in no utterance, and why."""

    first: int
    after: int
    reason: str


@dataclass(frozen=True)
class Timed:
    """Every word's time (None: not trusted), and between which words the recording has other speech."""

    words: list[WordTime | None]
    breaks: frozenset[int]  # i: between the words i - 1 and i
    spare: list[float]  # recognised words before each word that the text lacks


def time_words(text: Sequence[TextWord], recognised: Sequence[RecognisedWord]) -> Timed:
    """Align the words of `text` with recognised words, and so with times.

    Words that are recognised as written have their times. What lies between them is compared letter by letter, so that
    "mast head" may be recognised as "masthead"; the rest is placed by the number of its letters where that fits.
    """
    letters = Letters(recognised)
    sure = _sure(text, recognised, letters)
    known = sum(len(text[s.word].key) for s in sure)
    pace = sum(s.end - s.start for s in sure) / max(1, known)  # s a letter
    words: list[WordTime | None] = [None] * len(text)
    breaks, spare = set(), [0.0] * (len(text) + 1)
    for s in sure:
        words[s.word] = WordTime(s.start, s.end, s.likeness)
    edges = [Sure(-1, 0, 0, 0.0, 0.0, 0.0), *sure, Sure(len(text), len(letters.text), len(letters.text), 0.0, 0.0, 0.0)]
    for one, other in pairwise(edges):
        between = text[one.word + 1 : other.word]
        between_letters = letters.text[one.after : other.first]
        if not between:
            spare[other.word] = len(between_letters) / LETTERS
            if len(between_letters) >= EXTRA * LETTERS:
                breaks.add(other.word)
            continue
        at_edge = one.word < 0 or other.word == len(text)
        if at_edge or not _plausible(between, between_letters, other.start - one.end, pace):
            breaks |= {one.word + 1, other.word}
            continue
        total, at = sum(len(w.key) for w in between), one.end
        for r in range(one.word + 1, other.word):
            step = max(0.0, other.start - one.end) * len(text[r].key) / total
            words[r] = WordTime(at, at + step, 0.0)
            at += step
        spare[other.word] = max(0.0, len(between_letters) / LETTERS - len(between))
    return Timed(words, frozenset(breaks), spare)


@dataclass(frozen=True)
class Sure:
    """A word of the text that was recognised: in the recognised letters `first` up to `after`."""

    word: int
    first: int
    after: int
    start: float  # s
    end: float
    likeness: float


class Letters:
    """The letters of all recognised words in a row, each with its share of its word's time."""

    def __init__(self, recognised: Sequence[RecognisedWord]) -> None:
        self.text = "".join(word.key for word in recognised)
        self.first = [0]  # letter of each word, and the end
        self.start: list[float] = []
        self.end: list[float] = []
        for word in recognised:
            step = (word.end - word.start) / len(word.key)
            self.start += [word.start + i * step for i in range(len(word.key))]
            self.end += [word.start + (i + 1) * step for i in range(len(word.key))]
            self.first.append(len(self.start))


def _sure(text: Sequence[TextWord], recognised: Sequence[RecognisedWord], letters: Letters) -> list[Sure]:
    """Words that were recognised as they are written, or nearly so, in rising order."""
    pairs = match([w.key for w in text], [h.key for h in recognised])
    exact = [(r, h) for r, h in pairs if text[r].key == recognised[h].key]
    sure = [
        Sure(r, letters.first[h], letters.first[h + 1], recognised[h].start, recognised[h].end, 1.0) for r, h in exact
    ]
    edges: list[Pair] = [(-1, -1), *exact, (len(text), len(recognised))]
    for (ra, ha), (rb, hb) in pairwise(edges):
        if rb - ra > 1 and hb - ha > 1:
            sure += _by_letters(text, range(ra + 1, rb), letters, letters.first[ha + 1], letters.first[hb])
    return sorted(sure, key=lambda s: s.word)


def _by_letters(text: Sequence[TextWord], words: range, letters: Letters, first: int, after: int) -> list[Sure]:
    """Words whose letters are mostly among the recognised letters `first` up to `after`, together and in order."""
    written = "".join(text[r].key for r in words)
    if len(written) * (after - first) > MOST_CELLS:
        return []
    matched_at = {
        i: first + j
        for i, j in distance_path(written, letters.text[first:after])
        if written[i] == letters.text[first + j]
    }
    sure: list[Sure] = []
    at = 0
    for r in words:
        size = len(text[r].key)
        matched = [(i - at, matched_at[i]) for i in range(at, at + size) if i in matched_at]
        at += size
        if not matched:
            continue
        (i, low), (j, high) = matched[0], matched[-1]
        likeness = 2 * len(matched) / (size + high - low + 1)
        if likeness >= ALIKE:
            pace = (letters.end[high] - letters.start[low]) / (j - i + 1)
            start, end = letters.start[low] - i * pace, letters.end[high] + (size - 1 - j) * pace
            low, high = max(first, low - i), min(after, high + size - j)
            low = max(low, sure[-1].after) if sure else low
            start = max(start, sure[-1].end) if sure else start
            sure.append(Sure(r, low, max(low, high), start, max(start, end), round(likeness, 3)))
    return sure


def _plausible(text: Sequence[TextWord], letters: str, seconds: float, pace: float) -> bool:
    """Whether words that were not recognised can be what is spoken in `seconds` between two that were."""
    written = "".join(w.key for w in text)
    usual = pace * len(written)
    if not RATE[0] * usual <= seconds <= RATE[1] * usual + REST:
        return False
    if len(written) >= UNLIKE * LETTERS or len(letters) >= UNLIKE * LETTERS:
        return similarity(written, letters) >= SAME
    return True


def cut(timed: Timed, pauses: Pauses, settings: CutSettings) -> tuple[list[Cut], dict[int, str]]:
    """Utterances at pauses, of lengths as `settings` say, and why other words are in none."""
    cuts: list[Cut] = []
    reasons: dict[int, str] = {}
    for first, after in _runs(timed):
        for one in _divide(timed, pauses, settings, first, after, reasons):
            if one.score >= settings.least_score:
                cuts.append(one)
            else:
                reasons |= dict.fromkeys(range(one.first, one.after), "recognised as something else")
    return cuts, reasons


def _runs(timed: Timed) -> list[tuple[int, int]]:
    """Stretches of words with times without other speech between them."""
    runs: list[tuple[int, int]] = []
    start: int | None = None
    for i, word in enumerate(timed.words):
        if start is not None and (word is None or i in timed.breaks):
            runs.append((start, i))
            start = None
        if word is not None and start is None:
            start = i
    return runs if start is None else [*runs, (start, len(timed.words))]


def _divide(
    timed: Timed, pauses: Pauses, settings: CutSettings, first: int, after: int, reasons: dict[int, str]
) -> list[Cut]:
    """The best way to cut a run: lengths near the ideal, ends at long pauses between words that were recognised."""
    candidates = []  # (words before, pause)
    for i in range(first, after + 1):
        pause = _pause(timed, pauses, i, first, after)
        if pause is not None:
            candidates.append((i, pause))
    best = [(0.0, -1)] + [(math.inf, -1)] * (len(candidates) - 1) if candidates else []
    for b in range(1, len(candidates)):
        for a in range(b - 1, -1, -1):
            start, end = _edges(candidates[a][1])[1], _edges(candidates[b][1])[0]
            seconds = end - start
            cost = best[a][0] + _cost(timed, candidates[a], candidates[b], seconds, settings)
            if cost < best[b][0]:
                best[b] = cost, a
            if seconds > 3 * settings.max_seconds:
                break
    cuts: list[Cut] = []
    b = len(candidates) - 1
    while b > 0 and best[b][1] >= 0:
        a = best[b][1]
        start, end = _edges(candidates[a][1])[1], _edges(candidates[b][1])[0]
        if settings.min_seconds <= end - start <= settings.max_seconds:
            start, end = max(0.0, start), min(end, pauses.seconds)
            cuts.append(_cut_of(timed, candidates[a][0], candidates[b][0], start, end))
        else:
            short = end - start < settings.min_seconds
            why = "too short between what does not match" if short else "no pause to cut at"
            reasons |= dict.fromkeys(range(candidates[a][0], candidates[b][0]), why)
        b = a
    inside = range(candidates[0][0], candidates[-1][0]) if candidates else range(0)
    reasons |= {i: "no pause before what does not match" for i in range(first, after) if i not in inside}
    return cuts[::-1]


def _pause(timed: Timed, pauses: Pauses, i: int, first: int, after: int) -> tuple[float, float] | None:
    """The pause before the word `i`, between the middles of its neighbours in the run."""
    before = timed.words[i - 1] if i > first else None
    behind = timed.words[i] if i < after else None
    if before is None and behind is None:
        return None
    low = (before.start + before.end) / 2 if before else (behind.start - 0.6 if behind else 0.0)
    high = (behind.start + behind.end) / 2 if behind else (before.end + 0.6 if before else 0.0)
    outer_low = timed.words[i - 1] if i > 0 and before is None else None
    if outer_low is not None:  # a word of another run: not into it
        low = max(low, outer_low.end - 0.05)
    outer_high = timed.words[i] if i < len(timed.words) and behind is None else None
    if outer_high is not None:
        high = min(high, outer_high.start + 0.05)
    quiet = pauses.between(max(0.0, low), max(low + 0.02, high))
    if quiet is None or quiet[1] - quiet[0] < PAUSE:
        if before is None and behind is not None and i == 0 and behind.start < EDGE:  # the recording begins with it
            return behind.start - 1.0, behind.start
        if behind is None and before is not None and i == len(timed.words) and pauses.seconds - before.end < EDGE:
            return before.end, before.end + 1.0
        return None
    return max(quiet[0], low - 0.3), min(quiet[1], high + 0.3)


def _edges(pause: tuple[float, float]) -> tuple[float, float]:
    """Where the utterance before a pause ends, and where the one after it begins."""
    middle = (pause[0] + pause[1]) / 2
    return min(pause[0] + MARGIN, middle), max(pause[1] - MARGIN, middle)


def _cost(
    timed: Timed,
    a: tuple[int, tuple[float, float]],
    b: tuple[int, tuple[float, float]],
    seconds: float,
    settings: CutSettings,
) -> float:
    if not settings.min_seconds <= seconds <= settings.max_seconds:
        return 20.0 + 2.0 * seconds  # left out
    cost = ((seconds - IDEAL) / IDEAL) ** 2 - 2.0 * min(1.0, b[1][1] - b[1][0])
    for word in (timed.words[a[0]], timed.words[b[0] - 1]):
        cost += 4.0 * (1 - (word.likeness if word else 0.0))
    return cost


def _cut_of(timed: Timed, first: int, after: int, start: float, end: float) -> Cut:
    words = [w for w in timed.words[first:after] if w is not None]
    spare = sum(timed.spare[first + 1 : after])
    score = (sum(w.likeness for w in words) - spare) / max(1, after - first)
    return Cut(first, after, round(start, 3), round(end, 3), round(max(0.0, score), 3))


def gaps(timed: Timed, cuts: Sequence[Cut], reasons: dict[int, str]) -> list[Gap]:
    """Words that are in no utterance, those with one reason together."""
    inside = {i for one in cuts for i in range(one.first, one.after)}
    unmatched: list[Gap] = []
    for i in range(len(timed.words)):
        if i in inside:
            continue
        reason = "not recognised in the recording" if timed.words[i] is None else reasons.get(i, "does not match")
        if unmatched and unmatched[-1].after == i and unmatched[-1].reason == reason:
            unmatched[-1] = Gap(unmatched[-1].first, i + 1, reason)
        else:
            unmatched.append(Gap(i, i + 1, reason))
    return unmatched
