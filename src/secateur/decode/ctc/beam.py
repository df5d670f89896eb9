"""Prefix beam search over a CTC model's frames, held to a lexicon and weighed by a language model.

Hannun et al. 2014 (arXiv 1408.2873): a hypothesis is a row of units, whatever its alignment; it keeps apart what ended
in a blank and what did not. Here units walk through a tree of words, and the language model judges every word as it
ends, foreseen by the best word still possible (Ortmanns and Ney 2000). numpy; clips run side by side, so that a step
of all of them costs little more than one of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...base.errors import SecateurError
from ...lm.ngram import END, LanguageModel
from ...lm.word_tree import NO_NODE, OPEN, ROOT, WordTree, make_lexicon
from ...text.languages import by_characters
from ...text.units import Inventory
from .hypotheses import NEVER, Hypotheses, Logs, Steps, WordHistory
from .words import BLANK

LOWEST = -1e30  # a finite stand-in: no weight times infinity
TOGETHER = 48  # clips side by side

Nodes = NDArray[np.signedinteger]  # numbers of nodes in the tree of words, or of units


@dataclass(frozen=True)
class BeamOptions:
    """What a text is worth: its units' log-probability + `lm_weight` * its words' + `word_bonus` a word."""

    beam: int = 32  # hypotheses
    lm_weight: float = 0.5
    word_bonus: float = 0.5
    blank_penalty: float = 0.0  # taken off the blank's log-probability, unless it is sure: many models delete words
    unknown: float | None = None  # added to the score of a word outside the lexicon; None: there are none
    nearest: float = 11.0  # a hypothesis this far below the best is pruned
    floor: float = -10.0  # units less likely than this (log-probability) in a frame are not tried

    def __post_init__(self) -> None:
        if self.beam < 1:
            raise SecateurError(f"beam must be at least 1, found {self.beam}")


class BeamDecoder:
    """Reads log-probabilities (frames, outputs) of clips."""

    def __init__(
        self,
        units: Inventory,
        model: LanguageModel,
        options: BeamOptions | None = None,
        lexicon: WordTree | None = None,
    ) -> None:
        self.units, self.model, self.options = units, model, options or BeamOptions()
        self.lexicon = lexicon or make_lexicon(units, model.words, model.unigrams.tolist())
        weight, unknown = self.options.lm_weight, self.options.unknown
        self.open = unknown is not None
        self.unknown_score = weight * model.unknown + (unknown or 0.0) + self.options.word_bonus
        best, ending = self.lexicon.best, self.lexicon.ending
        hope = np.where(best > NEVER, weight * np.maximum(best, LOWEST), NEVER)  # what a node may still hope for
        hope[OPEN] = self.unknown_score
        self.ahead = np.append(hope, NEVER)  # the last is NO_NODE's
        self.at_end = np.where(ending > NEVER, weight * np.maximum(ending, LOWEST) + self.options.word_bonus, NEVER)
        if self.open:
            self.at_end = np.maximum(self.at_end, self.unknown_score)
        self.at_end[ROOT] = NEVER
        self.end = model.numbers.get(END, -1)
        self.joint = "" if by_characters(units.language) else " "

    def __call__(self, log_probs: Logs) -> str:
        """The best text of one clip."""
        return self.many([log_probs])[0]

    def many(self, log_probs: Sequence[Logs]) -> list[str]:
        """The best text of every clip."""
        texts = [""] * len(log_probs)
        order = sorted((i for i, one in enumerate(log_probs) if len(one)), key=lambda i: -len(log_probs[i]))
        for start in range(0, len(order), TOGETHER):
            rows = order[start : start + TOGETHER]
            for row, text in zip(rows, self._group([log_probs[row] for row in rows]), strict=True):
                texts[row] = text
        return texts

    def _group(self, clips: Sequence[Logs]) -> list[str]:
        """The best texts of a few clips."""
        floor, penalty = self.options.floor, self.options.blank_penalty
        steps = Steps.of([np.asarray(clip, np.float64) for clip in clips], floor, penalty)
        order = np.argsort(-steps.counts, kind="stable")
        history, texts = self._history(), [""] * len(clips)
        now = Hypotheses.first(len(clips))
        for step in range(len(steps.most) + 1):
            left = int((steps.counts > step).sum())
            for slot in range(left, now.clips):  # those whose steps are over
                row = int(order[slot])
                waited = now.part(slot).waited(steps.quiet[step, [row]], steps.still[step, [row]])
                texts[row] = self._best(waited, history)
            if not left:
                break
            rows = order[:left]
            now = now.first_clips(left).waited(steps.quiet[step, rows], steps.still[step, rows])
            most = steps.most[step]
            now = self._step(
                now, history, steps.frames[step, rows], steps.units[step, rows, :most], steps.values[step, rows, :most]
            )
        return texts

    def _step(
        self, now: Hypotheses, history: WordHistory, frame: Logs, units: NDArray[np.intp], values: Logs
    ) -> Hypotheses:
        """One frame of every clip: every hypothesis waits, or gets a unit more; the best go on.

        `frame` is (clips, outputs), `units` and `values` (clips, most) are its likely ones.
        """
        boundary, clip = self.lexicon.boundary, np.arange(now.clips)[:, None]
        total, last, began = np.logaddexp(now.blank, now.other), now.last, now.began
        wait_blank, wait_other = total + frame[:, :1], now.other + frame[clip, last]
        within = self._within(now.node, units)
        longer = total[:, :, None] + values[:, None]  # (clips, hypotheses, most)
        column = np.full(frame.shape, -1)
        column[clip, units] = np.arange(units.shape[1])
        column[:, BLANK] = -1
        again = column[clip, last]  # a unit that comes twice needs a blank between
        n, j = np.nonzero(again >= 0)
        k = again[n, j]
        longer[n, j, k] = now.blank[n, j] + values[n, k]
        if boundary is None:
            begun, begin = longer, self._begin(now.node, units)
        else:  # one unit alone ends words
            value = np.where(frame[:, [boundary]] > self.options.floor, frame[:, [boundary]], NEVER)
            begun = (np.where(last == boundary, now.blank, total) + value)[:, :, None]
            begin = np.where(self.at_end[now.node] > NEVER, ROOT, NO_NODE)[:, :, None]
        # What another hypothesis becomes may be one that is here already.
        n, j, i = np.nonzero(now.parent[:, :, None] == now.key[:, None])
        k = again[n, j]
        present, ends = k >= 0, began[n, j]
        for scores, after, these, at in (
            (longer, within, present & ~ends, k),
            (begun, begin, present & ends, k if boundary is None else k * 0),
        ):
            a, b, c, d = n[these], j[these], i[these], at[these]
            wait_other[a, b] = np.logaddexp(wait_other[a, b], scores[a, c, d])
            after[a, c, d] = NO_NODE
        width, most = now.width, units.shape[1]
        ranks = np.empty((now.clips, width * (1 + most + begin.shape[2])))
        ranks[:, :width] = np.logaddexp(wait_blank, wait_other) + (now.lm + self.ahead[now.node])
        inner = ranks[:, width : width * (1 + most)].reshape(longer.shape)
        np.add(longer + now.lm[:, :, None], self.ahead[within], out=inner)
        ended_lm = (now.lm + self.at_end[now.node])[:, :, None]
        ranks[:, width * (1 + most) :] = (begun + ended_lm + self.ahead[begin]).reshape(now.clips, -1)
        n, position = self._chosen(ranks)
        # First those that wait or go on within a word, one each; then those in which a word has ended.
        ends = position >= width * (1 + most)
        a, at = n[~ends], position[~ends]
        waits = at < width
        i, k = np.divmod(np.where(waits, 0, at - width), most)
        i = np.where(waits, at, i)
        going = now.extended(
            a, i, waits, wait_blank[a, np.where(waits, i, 0)], np.where(waits, wait_other[a, i], longer[a, i, k]),
            units[a, k], within[a, i, k], history if self.open else None,
        )  # fmt: skip
        a, (i, k) = n[ends], np.divmod(position[ends] - width * (1 + most), begin.shape[2])
        unit = units[a, k] if boundary is None else np.full(len(a), boundary)
        words = [self._candidates(node) for node in now.node[a, i].tolist()]
        ended = now.ended(a, i, unit, begun[a, i, k], begin[a, i, k], words, history, self.open and boundary is None)
        return Hypotheses.joined(now.clips, [going, ended])

    def _chosen(self, ranks: Logs) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Clip and position of each clip's best, at most as many as the beam, within `nearest` of the very best."""
        n, position = np.nonzero(ranks > ranks.max(1, keepdims=True) - self.options.nearest)
        counts = np.bincount(n, minlength=len(ranks))
        if counts.max() <= self.options.beam:
            return n, position
        order = np.lexsort((-ranks[n, position], n))
        first = np.cumsum(counts) - counts
        order = order[np.arange(len(n)) - first[n] < self.options.beam]
        return n[order], position[order]

    def _within(self, nodes: Nodes, units: Nodes) -> Nodes:
        """Nodes (clips, hypotheses, units) after a unit that goes on with a word, or NO_NODE."""
        nodes_after: Nodes = self.lexicon.children[nodes[:, :, None], units[:, None]]
        if self.open:
            outside = (nodes_after == NO_NODE) & ~self.lexicon.begins[units][:, None]
            nodes_after = np.where(outside, OPEN, nodes_after)
            nodes_after[np.broadcast_to((units == BLANK)[:, None], nodes_after.shape)] = NO_NODE
        if self.lexicon.boundary is None:  # what begins a word goes on with none, but for the first
            later = self.lexicon.begins[units][:, None] & (nodes != ROOT)[:, :, None]
            nodes_after = np.where(later & (nodes_after == OPEN), NO_NODE, nodes_after)
        return nodes_after

    def _begin(self, nodes: Nodes, units: Nodes) -> Nodes:
        """The same after a unit that is the first of a further word."""
        begins = self.lexicon.begins[units]
        after = np.where(begins, self.lexicon.children[ROOT, units], NO_NODE)
        if self.open:
            after = np.where(begins & (after == NO_NODE), OPEN, after)
        may_end = self.at_end[nodes] > NEVER
        nodes_after: Nodes = np.where(may_end[:, :, None], after[:, None], NO_NODE)
        return nodes_after

    def _candidates(self, node: int) -> tuple[int, ...]:
        """Words that may end at a node; -1 is one outside the lexicon."""
        words = self.lexicon.words_at(node)
        return words or ((-1,) if self.open and node != ROOT else ())

    def _history(self) -> WordHistory:
        return WordHistory(self.model, self.units, self.options.lm_weight, self.options.word_bonus, self.unknown_score)

    def _best(self, now: Hypotheses, history: WordHistory) -> str:
        """The best text of one clip whose last word is whole; where there is none, the best without its last word."""
        best: tuple[float, int, int, int] = (NEVER, 0, -2, 0)  # score, words, one word more or -2, its trail
        scores = np.logaddexp(now.blank[0], now.other[0])
        columns = zip(scores.tolist(), now.lm[0].tolist(), now.ints[:, 0].T.tolist(), strict=True)
        for score, lm, (node, _, state, words, trail, _) in columns:
            ends = [(lm, state, -2)]
            if node != ROOT:
                ends = []
                for word in self._candidates(node):
                    more, then = history.after(state, word)
                    ends.append((lm + more, then, word))
            for part, then, word in ends:
                end = self.options.lm_weight * self.model.score(self.end, history.walk.states[then])
                if score + part + end > best[0]:
                    best = (score + part + end, words, word, trail)
        _, words, word, trail = best
        if best[0] == NEVER:
            words = int(now.ints[3, 0, int(np.argmax(scores))])
        return self.joint.join(history.texts(words if word < -1 else history.add(words, word, trail)))
