"""Phrase mode for CTC models: prefix beam search (Hannun et al. 2014, arXiv 1408.2873) inside a grammar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...base.errors import SecateurError
from ...base.progress import check_cancelled
from ...decode.clips import audible
from ...decode.options import DecodingOptions
from ...decode.segments import Audio
from ...runtime.ctc_recogniser import CtcRecogniser
from ...text.units import Units
from ..grammar.file import Grammar
from .automaton import Automaton, SpellingState
from .search import Begun, Sentence

NEVER = -np.inf


@dataclass
class _Prefix:
    """Log probabilities of all paths that spell a prefix and end in a blank, or not."""

    spelling: SpellingState
    blank: float = NEVER
    letter: float = NEVER

    @property
    def total(self) -> float:
        return float(np.logaddexp(self.blank, self.letter))


def search_ctc(
    log_probs: NDArray[np.floating], characters: tuple[str, ...], automaton: Automaton, beam: int = 32, best: int = 5
) -> list[tuple[str, float]]:
    """The likeliest sentences of the grammar and their log probabilities, the best first; empty when none fits.

    Args:
        log_probs: (frames, 1 + characters), the blank first.
        characters: what the other outputs write.
    """
    letters = [character.encode() for character in characters]
    prefixes: dict[str, _Prefix] = {"": _Prefix(automaton.start, blank=0.0)}
    for frame in log_probs:
        check_cancelled()
        grown: dict[str, _Prefix] = {}
        for text, prefix in prefixes.items():
            total = prefix.total
            same = grown.setdefault(text, _Prefix(prefix.spelling))
            same.blank = float(np.logaddexp(same.blank, total + frame[0]))
            for number, (character, letter) in enumerate(zip(characters, letters, strict=True), 1):
                repeats = text.endswith(character)
                if repeats:  # the same letter goes on; it is a new one only after a blank
                    same.letter = float(np.logaddexp(same.letter, prefix.letter + frame[number]))
                arriving = prefix.blank if repeats else total
                if arriving == NEVER or (character == " " and text.endswith(" ")) or (character == " " and not text):
                    continue
                spelling = automaton.read(prefix.spelling, letter)
                if spelling is None:
                    continue
                longer = grown.setdefault(text + character, _Prefix(spelling))
                longer.letter = float(np.logaddexp(longer.letter, arriving + frame[number]))
        kept = sorted(grown.items(), key=lambda item: -item[1].total)[:beam]
        prefixes = dict(kept)
    whole: dict[str, float] = {}
    for text, prefix in prefixes.items():
        if automaton.ended(prefix.spelling):
            bare = text.strip()
            whole[bare] = float(np.logaddexp(whole.get(bare, NEVER), prefix.total))
    return sorted(whole.items(), key=lambda item: -item[1])[:best]


class CtcSearch:
    """Phrase mode of one CTC model that writes `characters`; it has no language model of its own to take away."""

    def __init__(
        self, recogniser: CtcRecogniser, automaton: Automaton, characters: tuple[str, ...], beam: int = 64
    ) -> None:
        self.recogniser, self.automaton, self.characters, self.beam = recogniser, automaton, characters, beam

    def begin(self, audio: Audio) -> Begun:
        """The network's outputs for one clip, and what they say without a grammar."""
        if not audible(audio):
            return Begun("", 0.0, None, None)
        log_probs = self.recogniser.log_probs([audio])[0]
        segment = self.recogniser.segment(log_probs, len(audio) / self.recogniser.sample_rate, DecodingOptions())
        total = float(log_probs.max(1).sum()) if len(log_probs) else 0.0
        if segment is None:
            return Begun("", total, None, log_probs)
        return Begun(segment.text, total, segment.confidence, log_probs)

    def search(self, begun: Begun, wide: bool = False) -> list[Sentence]:
        """Whole sentences for one clip, the likeliest first; all there are, so that a wide search adds none."""
        if begun.seen is None or wide:
            return []
        sentences = search_ctc(begun.seen, self.characters, self.automaton, self.beam, self.beam)
        return [Sentence(text, (), log_prob) for text, log_prob in sentences]

    def expected(self, sentences: Sequence[Sentence]) -> list[float]:
        """Nothing to take away."""
        return [0.0] * len(sentences)


def search_of(recogniser: CtcRecogniser, grammar: Grammar, beam: int) -> CtcSearch:
    """The search of a CTC model for the sentences of `grammar`.

    Raises:
        SecateurError: its units are no characters.
    """
    if not isinstance(recogniser.text, Units):
        raise SecateurError("phrase mode of CTC models is for those that write characters; use --phrases no")
    return CtcSearch(recogniser, Automaton(grammar.graph), recogniser.text.characters, 8 * beam)
