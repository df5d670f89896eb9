"""The hypotheses of beam search over several clips, as arrays (clips, hypotheses), and their words so far; and the
clips' frames side by side: the likely units of each, silence in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...lm.ngram import LanguageModel
from ...lm.word_tree import state_cache_of
from ...text.units import Inventory
from .words import BLANK

Ints = NDArray[np.intp]
Keys = NDArray[np.uint64]
NOBODY, NOTHING, EVERYBODY = 1, 2, 3  # keys of empty slots, of the first hypotheses, of what is before those
Logs = NDArray[np.floating]
QUIET = -5e-3  # a frame whose blank is surer than this (0.995) only lets hypotheses wait
NEVER = -np.inf


class WordHistory:
    """Words and spellings of all hypotheses of a few clips, by number, and the language model that judges them."""

    def __init__(self, model: LanguageModel, units: Inventory, weight: float, bonus: float, unknown: float) -> None:
        self.model, self.units, self.weight, self.bonus, self.unknown = model, units, weight, bonus, unknown
        self.walk = state_cache_of(model)
        self._words: list[tuple[int, str]] = [(0, "")]  # chains: what was before, and a word
        self._trail: list[tuple[int, int]] = [(0, 0)]  # chains of the units of words that no lexicon has

    def after(self, state: int, word: int) -> tuple[float, int]:
        """What a word (-1: unknown) adds to a hypothesis's score after a state, and the state then."""
        score, then = self.walk.step(self.model, state, word)
        return (self.unknown if word < 0 else self.weight * score + self.bonus), then

    def add(self, words: int, word: int, trail: int) -> int:
        """The chain `words` with a word more."""
        self._words.append((words, self.spelled(trail) if word < 0 else self.model.words[word]))
        return len(self._words) - 1

    def texts(self, words: int) -> list[str]:
        """The words of a chain, in order."""
        reversed_texts = []
        while words:
            words, text = self._words[words]
            reversed_texts.append(text)
        return reversed_texts[::-1]

    def trails(self, before: Ints, units: Ints) -> Ints:
        """Spellings with a unit more each."""
        first = len(self._trail)
        self._trail += zip(before.tolist(), units.tolist(), strict=True)
        return np.arange(first, len(self._trail))

    def spelled(self, trail: int) -> str:
        """The units since the last word ended, as text."""
        units = []
        while trail:
            trail, unit = self._trail[trail]
            units.append(unit)
        return self.units.decode(units[::-1])


@dataclass(frozen=True)
class Hypotheses:
    """Columns of all hypotheses; empty slots have probability zero. A key stands for a row of units and words."""

    floats: Logs  # (3, clips, hypotheses): probability with a blank at the end, with none; the words' score
    ints: Ints  # (6, clips, hypotheses): node, last unit, state, words, trail, whether that unit ended a word
    keys: Keys  # (2, clips, hypotheses): its own and that of the hypothesis that it is a unit longer than

    @classmethod
    def first(cls, clips: int) -> Hypotheses:
        """One empty hypothesis for each clip."""
        empty = cls._empty(clips, 1)
        empty.floats[0] = 0.0
        empty.keys[0], empty.keys[1] = NOTHING, EVERYBODY
        return empty

    @classmethod
    def _empty(cls, clips: int, width: int) -> Hypotheses:
        floats = np.full((3, clips, width), NEVER)
        floats[2] = 0.0
        keys = np.full((2, clips, width), NOBODY, np.uint64)
        keys[1] = EVERYBODY
        return cls(floats, np.zeros((6, clips, width), np.intp), keys)

    @classmethod
    def joined(cls, clips: int, parts: Sequence[tuple[Ints, Logs, Ints, Keys]]) -> Hypotheses:
        """From columns of single hypotheses and the clip of each."""
        n = np.concatenate([part[0] for part in parts])
        order = np.argsort(n, kind="stable")
        n = n[order]
        counts = np.bincount(n, minlength=clips)
        slot = np.arange(len(n)) - (np.cumsum(counts) - counts)[n]
        columns = cls._empty(clips, max(1, int(counts.max())))
        for table, column in ((columns.floats, 1), (columns.ints, 2), (columns.keys, 3)):
            table[:, n, slot] = np.concatenate([part[column] for part in parts], 1)[:, order]
        return columns

    @property
    def clips(self) -> int:
        """The number of clips."""
        return len(self.floats[0])

    @property
    def width(self) -> int:
        """Most hypotheses of a clip."""
        return len(self.floats[0, 0])

    @property
    def blank(self) -> Logs:
        """Log-probabilities of those alignments that end in a blank."""
        return self.floats[0]  # type: ignore[no-any-return]

    @property
    def other(self) -> Logs:
        """Log-probabilities of those that do not."""
        return self.floats[1]  # type: ignore[no-any-return]

    @property
    def lm(self) -> Logs:
        """What the language model and the bonus give."""
        return self.floats[2]  # type: ignore[no-any-return]

    @property
    def node(self) -> Ints:
        """The node in the tree of words."""
        return self.ints[0]  # type: ignore[no-any-return]

    @property
    def last(self) -> Ints:
        """The last unit of every hypothesis (clips, width)."""
        return self.ints[1]  # type: ignore[no-any-return]

    @property
    def began(self) -> NDArray[np.bool_]:
        """Whether the last unit ended the word before."""
        return self.ints[5] > 0  # type: ignore[no-any-return]

    @property
    def key(self) -> Keys:
        """The key of each hypothesis."""
        return self.keys[0]  # type: ignore[no-any-return]

    @property
    def parent(self) -> Keys:
        """The key without its last unit."""
        return self.keys[1]  # type: ignore[no-any-return]

    def first_clips(self, count: int) -> Hypotheses:
        """Those of the first clips."""
        return Hypotheses(self.floats[:, :count], self.ints[:, :count], self.keys[:, :count])

    def part(self, clip: int) -> Hypotheses:
        """Those of one clip."""
        only = slice(clip, clip + 1)
        return Hypotheses(self.floats[:, only], self.ints[:, only], self.keys[:, only])

    def waited(self, quiet: Logs, still: NDArray[np.bool_]) -> Hypotheses:
        """After frames (summed, (clips, outputs)) in which nothing is added, for the clips that have had such."""
        if not still.any():
            return self
        floats, rows = self.floats.copy(), still[:, None]
        total = np.logaddexp(self.blank, self.other) + quiet[:, :1]
        floats[0] = np.where(rows, total, self.blank)
        floats[1] = np.where(rows, self.other + quiet[np.arange(len(quiet))[:, None], self.last], self.other)
        return Hypotheses(floats, self.ints, self.keys)

    def extended(
        self, n: Ints, i: Ints, waits: NDArray[np.bool_], blank: Logs, other: Logs, unit: Ints, node: Ints,
        history: WordHistory | None,
    ) -> tuple[Ints, Logs, Ints, Keys]:  # fmt: skip
        """Hypotheses `i` of clips `n`: as they are where they wait, else with a unit more in the same word."""
        floats, ints, keys = self.floats[:, n, i], self.ints[:, n, i], self.keys[:, n, i]
        floats[0], floats[1] = np.where(waits, blank, NEVER), other
        ints[0], ints[1] = np.where(waits, ints[0], node), np.where(waits, ints[1], unit)
        ints[5] = np.where(waits, ints[5], 0)
        if history is not None:
            ints[4, ~waits] = history.trails(ints[4, ~waits], unit[~waits])
        longer = _key(keys[0], unit, np.zeros_like(unit))
        keys[1] = np.where(waits, keys[1], keys[0])
        keys[0] = np.where(waits, keys[0], longer)
        return n, floats, ints, keys

    def ended(
        self, n: Ints, i: Ints, unit: Ints, other: Logs, node: Ints, words: Sequence[Sequence[int]],
        history: WordHistory, begins: bool,
    ) -> tuple[Ints, Logs, Ints, Keys]:  # fmt: skip
        """Hypotheses `i` of clips `n` with a unit that ends their word, one for each of the `words` that it may be.

        With `begins` the unit is the first one of the next word.
        """
        counts = np.asarray([len(some) for some in words], np.intp)
        rows = np.repeat(np.arange(len(n)), counts)
        n, i, unit = n[rows], i[rows], unit[rows]
        floats, ints, keys = self.floats[:, n, i], self.ints[:, n, i], self.keys[:, n, i]
        word = [one for some in words for one in some]
        after = [history.after(state, one) for state, one in zip(ints[2].tolist(), word, strict=True)]
        floats[0], floats[1] = NEVER, other[rows]
        floats[2] += [score for score, _ in after]
        ints[3] = [history.add(*row) for row in zip(ints[3].tolist(), word, ints[4].tolist(), strict=True)]
        ints[0], ints[1], ints[2], ints[5] = node[rows], unit, [state for _, state in after], 1
        ints[4] = history.trails(np.zeros_like(unit), unit) if begins else 0
        keys[1] = keys[0]
        keys[0] = _key(keys[0], unit, np.asarray(word, np.intp) + 2)
        return n, floats, ints, keys


def _key(key: Keys, unit: Ints, word: Ints) -> Keys:
    """A number of 64 bits for a row of units and words that is a unit (and a word) longer than that of `key`."""
    mixed: Keys = key ^ (unit.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    mixed ^= word.astype(np.uint64) * np.uint64(0xD6E8FEB86659FD93)
    for shift, factor in ((32, 0xBF58476D1CE4E5B9), (29, 0x94D049BB133111EB)):  # SplitMix64
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(32))


@dataclass(frozen=True)
class Steps:
    """The frames of some clips that may hold speech, the clip with most of them first.

    Arrays are (steps, clips, ...); a clip with fewer steps has zeros after them.
    """

    frames: Logs  # (steps, clips, outputs)
    units: NDArray[np.intp]  # (steps, clips, most): outputs above the floor, the likeliest first; BLANK fills up
    values: Logs  # (steps, clips, most): their logarithms of probabilities; NEVER fills up
    most: list[int]  # how many of them any clip has at each step
    quiet: Logs  # (steps + 1, clips, outputs): sums over the quiet frames before each step, or after the last
    still: NDArray[np.bool_]  # (steps + 1, clips): whether there are any
    counts: NDArray[np.intp]  # (clips,): steps of each

    @classmethod
    def of(cls, clips: Sequence[Logs], floor: float, blank_penalty: float = 0.0) -> Steps:
        """From log-probabilities (frames, outputs) of clips of at least one frame; the blank's are lowered."""
        active = [(clip[:, 0] <= QUIET) & (clip[:, 1:] > floor).any(1) for clip in clips]
        counts = np.asarray([int(a.sum()) for a in active])
        steps, outputs = int(counts.max()), clips[0].shape[1]
        frames = np.zeros((steps, len(clips), outputs))
        quiet = np.zeros((steps + 1, len(clips), outputs))
        still = np.zeros((steps + 1, len(clips)), bool)
        for i, (clip, spoken) in enumerate(zip(clips, active, strict=True)):
            frames[: counts[i], i] = clip[spoken]
            frames[: counts[i], i, BLANK] -= blank_penalty
            before = np.cumsum(spoken)[~spoken]  # steps before each quiet frame
            np.add.at(quiet[:, i], before, clip[~spoken])
            still[before, i] = True
        above = frames > floor
        above[:, :, BLANK] = False
        above &= (np.arange(steps)[:, None] < counts)[:, :, None]
        most = above.sum(2).max(1).tolist() if steps else []
        widest = max(most, default=0)
        values = np.where(above, frames, NEVER)
        units = np.argsort(-values, axis=2, kind="stable")[:, :, :widest]
        values = np.take_along_axis(values, units, 2)
        return cls(frames, np.where(values > NEVER, units, BLANK), values, most, quiet, still, counts)
