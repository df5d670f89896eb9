"""Prefix beam search over a CTC model's frames, held to a lexicon and weighed by a language model.

Hannun et al. 2014 (arXiv 1408.2873): a hypothesis is a row of units, whatever its alignment; it keeps apart what ended
in a blank and what did not. Here units walk through a tree of words, and the language model judges every word as it
ends, foreseen by the best word still possible (Ortmanns and Ney 2000). numpy, one clip at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....base.errors import SecateurError
from ....text.ngram import END, LanguageModel
from ....text.normalise import CHARACTER_LANGUAGES, base_language
from ....text.units import Inventory
from ....text.word_tree import NOWHERE, OPEN, ROOT, Lexicon, make_lexicon

Logs = NDArray[np.floating]
NEVER = -np.inf
LOWEST = -1e30  # a finite stand-in: no weight times infinity
QUIET = -5e-3  # a frame whose blank is surer than this (0.995) only lets hypotheses wait


@dataclass(frozen=True)
class BeamOptions:
    """What a text is worth: its units' log-probability + `lm_weight` * its words' + `word_bonus` a word."""

    beam: int = 32  # hypotheses
    lm_weight: float = 0.5
    word_bonus: float = 0.5
    unknown: float | None = None  # added to the score of a word outside the lexicon; None: there are none
    nearest: float = 14.0  # a hypothesis that far below the best is given up
    floor: float = -12.0  # units less likely than this (log-probability) in a frame are not tried

    def __post_init__(self) -> None:
        if self.beam < 1:
            raise SecateurError(f"beam must be at least 1, found {self.beam}")


class _Prefixes:
    """All hypotheses of a clip so far, as columns; what depends on the row of units alone is computed once."""

    def __init__(self, state: Any) -> None:
        self.parent, self.unit, self.node = [-1], [-1], [ROOT]
        self.lm, self.state = [0.0], [state]
        self.words: list[Any] = [None]  # a chain: (the chain before, word)
        self.known: dict[tuple[int, int, int], int] = {}

    def add(self, key: tuple[int, int, int], node: int, lm: float, state: Any, words: Any) -> int:
        """The number of a new hypothesis."""
        number = self.known[key] = len(self.parent)
        self.parent.append(key[0])
        self.unit.append(key[1])
        self.node.append(node)
        self.lm.append(lm)
        self.state.append(state)
        self.words.append(words)
        return number


class BeamDecoder:
    """Reads log-probabilities (frames, outputs) of one clip at a time."""

    def __init__(
        self, units: Inventory, model: LanguageModel, options: BeamOptions | None = None, lexicon: Lexicon | None = None
    ) -> None:
        self.units, self.model, self.options = units, model, options or BeamOptions()
        self.lexicon = lexicon or make_lexicon(units, model.words, model.unigrams.tolist())
        weight, unknown = self.options.lm_weight, self.options.unknown
        self.open = unknown is not None
        self.unknown_score = weight * model.unknown + (unknown or 0.0) + self.options.word_bonus
        best, ending = self.lexicon.best, self.lexicon.ending
        self.ahead = np.where(best > NEVER, weight * np.maximum(best, LOWEST), NEVER)  # what a node may still hope for
        self.ahead[OPEN] = self.unknown_score
        self.at_end = np.where(ending > NEVER, weight * np.maximum(ending, LOWEST) + self.options.word_bonus, NEVER)
        if self.open:
            self.at_end = np.maximum(self.at_end, self.unknown_score)
        self.at_end[ROOT] = NEVER
        self.end = model.numbers.get(END, -1)
        self.joint = "" if base_language(units.language) in CHARACTER_LANGUAGES else " "

    def __call__(self, log_probs: Logs) -> str:
        """The best text."""
        prefixes = _Prefixes(self.model.start())
        beam = [0]
        blank: Logs = np.zeros(1)
        other: Logs = np.full(1, NEVER)
        for frame in np.asarray(log_probs, np.float64):
            beam, blank, other = self._step(prefixes, frame, beam, blank, other)
        return self._best(prefixes, beam, np.logaddexp(blank, other))

    def many(self, log_probs: Sequence[Logs]) -> list[str]:
        """The best text of every clip."""
        return [self(one) for one in log_probs]

    def _step(
        self, prefixes: _Prefixes, frame: Logs, beam: list[int], blank: Logs, other: Logs
    ) -> tuple[list[int], Logs, Logs]:
        """One frame: every hypothesis waits, or gets a unit more; the best go on."""
        last = np.asarray([prefixes.unit[b] for b in beam])
        total = np.logaddexp(blank, other)
        wait_blank = total + frame[0]
        wait_other = np.where(last >= 0, other + frame[last], NEVER)
        units = np.flatnonzero(frame > self.options.floor)
        units = units[units != 0]
        if frame[0] > QUIET or not len(units):
            return beam, wait_blank, wait_other
        nodes = np.asarray([prefixes.node[b] for b in beam])
        lm = np.asarray([prefixes.lm[b] for b in beam])
        longer = total[:, None] + frame[units]
        longer = np.where(last[:, None] == units, blank[:, None] + frame[units], longer)
        within, begin = self._within(nodes, units), self._begin(nodes, units)
        places = {unit: k for k, unit in enumerate(units.tolist())}
        where = {number: i for i, number in enumerate(beam)}
        gone = np.zeros((2, *longer.shape), bool)
        for j, number in enumerate(beam):  # what another hypothesis becomes may be one that is here already
            i, k = where.get(prefixes.parent[number]), places.get(prefixes.unit[number])
            if i is not None and k is not None:
                wait_other[j] = np.logaddexp(wait_other[j], longer[i, k])
                gone[int(prefixes.words[number] is not prefixes.words[beam[i]]), i, k] = True
        rank_wait = np.logaddexp(wait_blank, wait_other) + lm + self.ahead[nodes]
        base = longer + lm[:, None]
        rank_within = np.where((within == NOWHERE) | gone[0], NEVER, base + self.ahead[within])
        rank_begin = np.where(
            (begin == NOWHERE) | gone[1], NEVER, base + self.at_end[nodes][:, None] + self.ahead[begin]
        )
        ranks = np.concatenate([rank_wait, rank_within.ravel(), rank_begin.ravel()])
        if len(ranks) > self.options.beam:
            chosen = np.argpartition(-ranks, self.options.beam - 1)[: self.options.beam]
        else:
            chosen = np.arange(len(ranks))
        chosen = chosen[ranks[chosen] > ranks.max() - self.options.nearest]
        new, new_blank, new_other = [], [], []
        for place in np.sort(chosen).tolist():
            if place < len(beam):
                found = [(beam[place], wait_blank[place], wait_other[place])]
            else:
                begins, rest = divmod(place - len(beam), longer.size)
                i, k = divmod(rest, len(units))
                unit, score = int(units[k]), float(longer[i, k])
                if begins:
                    found = [(n, NEVER, score) for n in self._ended(prefixes, beam[i], unit, int(begin[i, k]))]
                else:
                    found = [(self._longer(prefixes, beam[i], unit, int(within[i, k])), NEVER, score)]
            for number, its_blank, its_other in found:
                new.append(number)
                new_blank.append(its_blank)
                new_other.append(its_other)
        return new, np.asarray(new_blank), np.asarray(new_other)

    def _within(self, nodes: NDArray[Any], units: NDArray[Any]) -> NDArray[Any]:
        """Nodes (hypotheses, units) after a unit that goes on with a word, or NOWHERE."""
        found: NDArray[Any] = self.lexicon.children[nodes][:, units]
        if self.open:
            outside = (found == NOWHERE) & ~self.lexicon.begins[units]
            found = np.where(outside, OPEN, found)
        if self.lexicon.boundary is None:  # what begins a word goes on with none, but for the first
            found = np.where(self.lexicon.begins[units] & (nodes != ROOT)[:, None] & (found == OPEN), NOWHERE, found)
        return found

    def _begin(self, nodes: NDArray[Any], units: NDArray[Any]) -> NDArray[Any]:
        """Nodes (hypotheses, units) after a unit that ends the word before, or NOWHERE."""
        after = np.full(len(units), NOWHERE)
        begins = self.lexicon.begins[units]
        after[begins] = ROOT if self.lexicon.boundary is not None else self.lexicon.children[ROOT, units[begins]]
        if self.open and self.lexicon.boundary is None:
            after[begins & (after == NOWHERE)] = OPEN
        may_end = self.at_end[nodes] > NEVER
        found: NDArray[Any] = np.where(may_end[:, None], after[None], NOWHERE)
        return found

    def _longer(self, prefixes: _Prefixes, number: int, unit: int, node: int) -> int:
        """The hypothesis with a unit more in the same word."""
        key = (number, unit, -2)
        found = prefixes.known.get(key)
        if found is None:
            found = prefixes.add(key, node, prefixes.lm[number], prefixes.state[number], prefixes.words[number])
        return found

    def _ended(self, prefixes: _Prefixes, number: int, unit: int, node: int) -> list[int]:
        """The hypotheses in which a word has ended, one for each word that sounds so."""
        found = []
        for word in self._candidates(prefixes, number):
            key = (number, unit, word)
            known = prefixes.known.get(key)
            if known is None:
                lm, state, words = self._with(prefixes, number, word)
                known = prefixes.add(key, node, lm, state, words)
            found.append(known)
        return found

    def _candidates(self, prefixes: _Prefixes, number: int) -> tuple[int, ...]:
        """Words that may end where a hypothesis stands; -1 is one outside the lexicon."""
        words = self.lexicon.words_at(prefixes.node[number])
        return words or ((-1,) if self.open and prefixes.node[number] != ROOT else ())

    def _with(self, prefixes: _Prefixes, number: int, word: int) -> tuple[float, Any, Any]:
        """Score, state and words with one word more."""
        state, words, lm = prefixes.state[number], prefixes.words[number], prefixes.lm[number]
        if word < 0:
            return lm + self.unknown_score, self.model.then(-1, state), (words, self._spelled(prefixes, number))
        said = self.options.lm_weight * self.model.score(word, state) + self.options.word_bonus
        return lm + said, self.model.then(word, state), (words, self.model.words[word])

    def _spelled(self, prefixes: _Prefixes, number: int) -> str:
        """The units since the last word ended, as text."""
        units, words = [], prefixes.words[number]
        while number > 0 and prefixes.words[number] is words:
            if prefixes.node[number] != ROOT:
                units.append(prefixes.unit[number])
            number = prefixes.parent[number]
        return self.units.decode(units[::-1])

    def _best(self, prefixes: _Prefixes, beam: list[int], scores: Logs) -> str:
        """The best text whose last word is whole; where there is none, the best without its last word."""
        best: tuple[float, Any] = (NEVER, None)
        for number, score in zip(beam, scores.tolist(), strict=True):
            ends = [(prefixes.lm[number], prefixes.state[number], prefixes.words[number])]
            if prefixes.node[number] != ROOT:
                ends = [self._with(prefixes, number, word) for word in self._candidates(prefixes, number)]
            for lm, state, words in ends:
                value = score + lm + self.options.lm_weight * self.model.score(self.end, state)
                if value > best[0]:
                    best = (value, words)
        if best[0] == NEVER:
            best = (0.0, prefixes.words[beam[int(np.argmax(scores))]])
        words, texts = best[1], []
        while words is not None:
            words, text = words
            texts.append(text)
        return self.joint.join(reversed(texts))
