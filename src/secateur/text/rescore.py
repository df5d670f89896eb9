"""What speaks for one of several texts of a clip besides the recogniser: its words, and its fit to a pinyin head."""

from __future__ import annotations

import heapq
import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..base.options import from_dict
from .by_sound import BySound, SoundEvidence
from .chinese import HAN
from .lattice import BEAM, MixedScores, PairScores
from .lexicon import LONGEST
from .pinyin import Syllable, syllables
from .word_model import WordModel

LM_SHARE = 0.8  # of a language model, where there is one; correction may choose another for itself
KEPT = 100_000  # beginnings of texts that a cache keeps


@dataclass(frozen=True)
class RescoringWeights:
    """A text scores its log probability under the recogniser, and what these weights make of the rest."""

    head: float = 0.5  # of log P(its syllables | clip), of a pinyin head where there is one
    lm: float = 0.5  # of log P(its words)
    length: float = 0.0  # nats for each of its characters


def weights_of(model: WordModel) -> RescoringWeights:
    """The weights that were chosen for a word file, else the defaults.

    Raises:
        SecateurError: a weight that is not known.
    """
    weights: RescoringWeights = from_dict(RescoringWeights, dict(model.rescoring), "rescoring of the word file")
    return weights


class TextScores:
    """log P(words) of texts under the words and language model of a `BySound`; texts that begin alike share work."""

    def __init__(self, writer: BySound) -> None:
        self.steps = PairScores(writer.scores) if writer.lm is None else MixedScores(writer.scores, writer.lm, LM_SHARE)
        general: Mapping[str, object] = writer.lexicon.frequency if writer.lm is None else writer.lm.numbers
        self.known: tuple[Container[str], ...] = (general, writer.model.words)
        self._ends: dict[str, list[tuple[float, Any]]] = {}

    def log_prob(self, text: str) -> float:
        """log P of the likeliest words that spell the Chinese characters of `text`, run by run."""
        return sum(self._ends_of(run)[0][0] for run in re.findall(f"[{HAN}]+", text))

    def _ends_of(self, run: str) -> list[tuple[float, Any]]:
        """The `BEAM` likeliest states after the characters `run`, the likeliest first: a beam over where words end."""
        if len(self._ends) > KEPT:
            self._ends.clear()
        self._ends.setdefault("", [(0.0, self.steps.start())])
        for end in range(1, len(run) + 1):
            if run[:end] not in self._ends:
                self._ends[run[:end]] = self._longer(run[:end])
        return self._ends[run]

    def _longer(self, run: str) -> list[tuple[float, Any]]:
        """The same of a run whose beginnings are known."""
        reached: dict[Any, float] = {}
        for length in range(1, min(LONGEST, len(run)) + 1):
            word = run[-length:]
            if length > 1 and not any(word in words for words in self.known):
                continue
            for before, state in self._ends[run[:-length]]:
                more, then = self.steps.step(state, word)
                score = before + more
                if then not in reached or score > reached[then]:
                    reached[then] = score
        return [(s, state) for state, s in heapq.nlargest(BEAM, reached.items(), key=lambda one: one[1])]


def head_scores(texts: Sequence[str], head: SoundEvidence | None) -> list[float]:
    """log P(syllables | clip) of each text; 0 where no head was asked."""
    if head is None:
        return [0.0] * len(texts)
    return head.scores([[s for s in syllables(text) if isinstance(s, Syllable)] for text in texts])
