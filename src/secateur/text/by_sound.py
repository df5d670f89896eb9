"""Characters for sounds: pinyin written as text, and text that sounds right but is written wrong mended.

Both look for the likeliest words under a `WordModel` among those that sound as asked; what differs is the evidence.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from dataclasses import dataclass

from .chinese import HAN
from .lattice import Edge, best_path
from .lexicon import LONGEST, Entry, Lexicon, general_lexicon
from .pinyin import NEUTRAL, Syllable, parse_syllable, syllables
from .word_model import WordModel, WordScores


@dataclass(frozen=True)
class SoundCosts:
    """What a word pays, in nats, for a syllable that differs from what was heard."""

    changed: float = 3.0  # correction: another character than was written
    tone: float = 1.5  # another tone
    near: float = 3.0  # another sound of the same class (zh and z, ang and an)


class BySound:
    """Writes what was said, with the words of `model`'s texts and of a dictionary (by default the general one)."""

    def __init__(self, model: WordModel, costs: SoundCosts | None = None, lexicon: Lexicon | None = None) -> None:
        self.costs = costs or SoundCosts()
        self.lexicon = lexicon or general_lexicon()
        self.model = model
        self.scores = WordScores(model, self.lexicon.frequency)
        self.own = Lexicon({}, _entries(model))

    def costing(self, costs: SoundCosts) -> BySound:
        """The same with other costs; the dictionaries are shared."""
        twin = copy.copy(self)
        twin.costs = costs
        return twin

    def characters(self, pinyin: str) -> str:
        """The text of syllables with tone numbers, separated by spaces; whatever has no word stays as it is.

        The tone may be missing (5 stands for the neutral one): it then counts as unknown.
        """
        heard = [parse_syllable(name) for name in pinyin.split()]
        edges: list[list[Edge]] = []
        for i in range(len(heard)):
            found = [Edge(i + 1, heard[i].numbered, -50.0)]
            for end in range(i + 1, min(i + LONGEST, len(heard)) + 1):
                said = heard[i:end]
                found += [Edge(end, e.word, self._unlike(e.sounds, said)) for e in self._like(said)]
            edges.append(found)
        return "".join(best_path(edges, self.scores))

    def correct(self, text: str) -> str:
        """`text` with its Chinese runs rewritten where words that sound alike are much likelier; the rest stays."""
        return re.sub(f"[{HAN}]+", lambda run: self._corrected(run[0]), text)

    def _corrected(self, run: str) -> str:
        heard = syllables(run)
        if len(heard) != len(run) or not all(isinstance(s, Syllable) and s.final for s in heard):
            return run
        said = [s for s in heard if isinstance(s, Syllable)]
        edges: list[list[Edge]] = []
        for i in range(len(run)):
            found = {Edge(i + 1, run[i]): None}
            for end in range(i + 1, min(i + LONGEST, len(run)) + 1):
                if end > i + 1:
                    found[Edge(end, run[i:end])] = None
                for entry in self._like(said[i:end]):
                    changed = sum(a != b for a, b in zip(entry.word, run[i:end], strict=True))
                    if changed:
                        unlike = self._unlike(entry.sounds, said[i:end], run[i:end], entry.word)
                        found[Edge(end, entry.word, unlike - self.costs.changed * changed)] = None
            edges.append(list(found))
        return "".join(best_path([self._known(i, e, run) for i, e in enumerate(edges)], self.scores)) or run

    def _known(self, start: int, edges: Sequence[Edge], run: str) -> list[Edge]:
        """Without stretches of several written characters that no dictionary has as a word."""
        return [
            e for e in edges
            if e.end == start + 1 or e.word in self.lexicon.frequency or e.word in self.model.words
        ]  # fmt: skip

    def _like(self, said: Sequence[Syllable]) -> list[Entry]:
        own = self.own.like(said)
        names = {entry.word for entry in own}
        return own + [entry for entry in self.lexicon.like(said) if entry.word not in names]

    def _unlike(self, sounds: Sequence[Syllable], said: Sequence[Syllable], kept: str = "", word: str = "") -> float:
        """The evidence (0 or less) for a word's `sounds` where `said` was heard; characters that stay pay nothing."""
        cost = 0.0
        for i, (a, b) in enumerate(zip(sounds, said, strict=True)):
            if kept and kept[i] == word[i]:
                continue
            cost += self.costs.near * (a.sound != b.sound)
            cost += self.costs.tone * (a.tone != b.tone and NEUTRAL not in (a.tone, b.tone))
        return -cost


def _entries(model: WordModel) -> list[Entry]:
    """The texts' own words as they are said."""
    found = []
    for word in model.words:
        sounds = syllables(word)
        if len(word) <= LONGEST and len(sounds) == len(word) and all(isinstance(s, Syllable) for s in sounds):
            found.append(Entry(word, tuple(s for s in sounds if isinstance(s, Syllable))))
    return found
