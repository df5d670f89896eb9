"""Characters for sounds: pinyin written as text, and text that sounds right but is written wrong mended.

Both look for the likeliest words under a `WordModel` among those that sound as asked; what differs is the evidence.
"""

from __future__ import annotations

import copy
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import Any, Protocol

from ..base.options import from_dict
from .chinese import HAN
from .lattice import Edge, best_path
from .left_alone import CANTONESE, frozen
from .lexicon import LONGEST, Entry, Lexicon, general_lexicon
from .pinyin import NEUTRAL, Syllable, parse_syllable, syllables
from .pinyin_text import read_pinyin
from .word_model import WordModel, WordScores

WITH_HEAD = 3.0  # nats a changed character at most, unless another was chosen, where a pinyin head is asked
SURE = 0.9  # a recogniser that is surer than this costs more to contradict
COMMON = 1.0  # of a million words: rarer ones may be chance
Span = tuple[int, int]  # characters of a text, the end not included


class SoundEvidence(Protocol):
    """What a pinyin head made of a clip (`heard.Heard`)."""

    def best(self) -> str:
        """The best path's syllables, separated by spaces."""

    def scores(self, spoken: Sequence[Sequence[Syllable]]) -> list[float]:
        """log P(syllables | clip) of each of several sequences."""


@dataclass(frozen=True)
class SoundCosts:
    """What a word pays, in nats, for a syllable that differs from what was heard.

    By default correction changes about one character in a thousand of correct text; a weak model's texts are worth
    more, which a dev set tells (`evaluate.corrected.chosen`).
    """

    changed: float = 8.0  # correction: another character than was written
    careful: bool = True  # correction: leave words, names and single characters alone (`left_alone`)
    sure: float = 1.0  # correction: weight of the odds that a character was recognised right, where they are known
    tone: float = 1.5  # another tone
    near: float = 3.0  # another sound of the same class (zh and z, ang and an)
    heard: float = 1.0  # correction: the sound that the pinyin head heard in place of what was written
    head: float = 0.5  # correction: weight of what the pinyin head says of the changed syllables, a log probability


def costs_of(model: WordModel, changed: float | None = None) -> SoundCosts:
    """The costs that were chosen for a word file, else the defaults; `changed` wins.

    Raises:
        SecateurError: a cost that is not known.
    """
    stored: dict[str, Any] = dict(model.costs)
    if "careful" in stored:
        stored["careful"] = bool(stored["careful"])
    costs: SoundCosts = from_dict(SoundCosts, stored, "costs of the word file")
    return costs if changed is None else replace(costs, changed=changed)


class BySound:
    """Writes what was said, with the words of `model`'s texts and of a dictionary (by default the general one)."""

    def __init__(self, model: WordModel, costs: SoundCosts | None = None, lexicon: Lexicon | None = None) -> None:
        self.costs = costs or costs_of(model)
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
        """The text of syllables in any usual spelling (`pinyin_text`); Latin words, and what has no word, stay.

        The tone may be missing (5 stands for the neutral one): it then counts as unknown.
        """
        text, run = "", list[Syllable]()
        for one in [*read_pinyin(pinyin), ""]:
            if isinstance(one, Syllable):
                run.append(one)
                continue
            text += self._run(run)
            between = " " if text[-1:].isascii() and text[-1:].isalnum() and one else ""
            text, run = text + between + one, []
        return text

    def _run(self, said: Sequence[Syllable]) -> str:
        """The likeliest words of syllables in a row."""
        edges: list[list[Edge]] = []
        for i in range(len(said)):
            found = [Edge(i + 1, said[i].numbered, -50.0)]
            for end in range(i + 1, min(i + LONGEST, len(said)) + 1):
                some = said[i:end]
                found += [Edge(end, e.word, self._unlike(e.sounds, some)) for e in self._like(some)]
            edges.append(found)
        return "".join(best_path(edges, self.scores))

    def correct(self, text: str, heard: SoundEvidence | None = None, confidence: Sequence[float] | None = None) -> str:
        """`text` with its Chinese runs rewritten where words that sound alike are much likelier; the rest stays.

        `confidence` has a probability for every character of `text`: what the recogniser was sure of costs more to
        change. Text in Cantonese stays.

        `heard` is what a pinyin head heard in the same clip: where it says another sound than was written, words of
        that sound compete, too; and each word that competes is weighed by how much better or worse its syllables fit
        what was heard than those that were written.
        """
        if CANTONESE.search(text):
            return text
        runs = list(re.finditer(f"[{HAN}]+", text))
        said = [s for run in runs for s in self._sounds(run[0])]
        also: list[Syllable | None] = [None] * len(said)
        if heard is not None:
            also = aligned(said, [parse_syllable(name) for name in heard.best().split()])
        found, at, end = "", 0, 0
        for run in runs:
            span = at, at + len(run[0])
            odds = None if confidence is None else [_odds(p) for p in confidence[run.start() : run.end()]]
            found += text[end : run.start()] + self._corrected(run[0], said, also, span, heard, odds)
            at, end = span[1], run.end()
        return found + text[end:]

    def __contains__(self, word: object) -> bool:
        """Whether the dictionary or the texts have a word, and not only just."""
        return self.lexicon.frequency.get(str(word), 0.0) >= COMMON or word in self.model.words

    def _sounds(self, run: str) -> list[Syllable]:
        """One syllable a character; an empty one where a character has no known reading."""
        found = syllables(run)
        if len(found) != len(run):
            return [Syllable("", "", NEUTRAL)] * len(run)
        return [s if isinstance(s, Syllable) else Syllable("", "", NEUTRAL) for s in found]

    def _corrected(
        self, run: str, said: Sequence[Syllable], also: Sequence[Syllable | None], span: Span,
        heard: SoundEvidence | None, odds: Sequence[float] | None = None,
    ) -> str:  # fmt: skip
        """The Chinese `run`, which has the syllables `span` of all that the text `said`."""
        first, last = span
        if not all(s.final for s in said[first:last]):
            return run
        careful = self.costs.careful and heard is None  # a head says itself where a word was not what was spoken
        stays = frozen(run, self, self.model.protected, careful)
        if len(stays) == len(run):
            return run
        changed = self.costs.changed if careful or not self.costs.careful else min(self.costs.changed, WITH_HEAD)
        cost = [changed + self.costs.sure * (0.0 if odds is None else odds[i]) for i in range(len(run))]
        others: dict[Span, dict[Entry, float]] = {}
        for i in range(len(run)):
            for end in range(i + 1, min(i + LONGEST, len(run)) + 1):
                here = slice(first + i, first + end)
                costs = [None if place in stays else cost[place] for place in range(i, end)]
                if all(c is None for c in costs) or (careful and end - i == 1):
                    others[i, end] = {}
                    continue
                others[i, end] = self._others(run[i:end], said[here], also[here], costs, careful)
        gains = self._gains(others, said, first, heard)
        edges: list[list[Edge]] = []
        for i in range(len(run)):
            found = {run[i]: Edge(i + 1, run[i])}
            for end in range(i + 1, min(i + LONGEST, len(run)) + 1):
                kept = run[i:end]
                if kept in self.lexicon.frequency or kept in self.model.words:
                    found[kept] = Edge(end, kept)
                for entry, evidence in others[i, end].items():
                    evidence += gains.get((i, end, entry.sounds), 0.0)
                    if entry.word not in found or evidence > found[entry.word].evidence:
                        found[entry.word] = Edge(end, entry.word, evidence)
            edges.append(list(found.values()))
        return "".join(best_path(edges, self.scores)) or run

    def _gains(
        self, others: Mapping[Span, Mapping[Entry, float]], said: Sequence[Syllable], first: int,
        heard: SoundEvidence | None,
    ) -> dict[tuple[int, int, tuple[Syllable, ...]], float]:  # fmt: skip
        """What the head has for or against the sounds of each word, in its place in all that was `said`."""
        if heard is None or not self.costs.head:
            return {}
        places = list(dict.fromkeys((*span, entry.sounds) for span, words in others.items() for entry in words))
        changed = [[*said[: first + i], *sounds, *said[first + end :]] for i, end, sounds in places]
        before, *after = heard.scores([said, *changed])
        return {place: self.costs.head * (now - before) for place, now in zip(places, after, strict=True)}

    def _others(
        self, kept: str, said: Sequence[Syllable], also: Sequence[Syllable | None], costs: Sequence[float | None],
        careful: bool,
    ) -> dict[Entry, float]:  # fmt: skip
        """Words, as they sound, that may stand for the written `kept`, each with its evidence.

        `costs` has what a change of each character costs; None: it stays. `careful`: only words that are usual.
        """
        found: dict[Entry, float] = {}
        choices = [
            (a,) if b is None or a.sound == b.sound else (a, b) for a, b in zip(said, also, strict=True)
        ]  # fmt: skip
        for sounds in itertools.product(*choices):
            from_head = sum(a is not b for a, b in zip(sounds, said, strict=True))
            for entry in self._like(sounds):
                changed = [c for a, b, c in zip(entry.word, kept, costs, strict=True) if a != b]
                if not changed or None in changed or (careful and entry.word not in self):
                    continue
                evidence = self._unlike(entry.sounds, sounds, kept, entry.word)
                evidence -= sum(c for c in changed if c is not None) + self.costs.heard * from_head
                found[entry] = max(evidence, found.get(entry, evidence))
        return found

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


def _odds(probability: float) -> float:
    """By how much surer than `SURE` something is, as the logarithm of the odds; 0 where it is less sure."""
    p = min(max(probability, SURE), 0.999)
    return math.log(p / (1 - p)) - math.log(SURE / (1 - SURE))


def aligned(said: Sequence[Syllable], heard: Sequence[Syllable]) -> list[Syllable | None]:
    """For each syllable `said` the one that was `heard` in its place, or None; tones do not count.

    Stretches of another length than what was heard there say nothing.
    """
    found: list[Syllable | None] = [None] * len(said)
    matcher = SequenceMatcher(None, [s.sound for s in said], [s.sound for s in heard], autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind == "equal" or (kind == "replace" and b - a == d - c):
            found[a:b] = heard[c:d]
    return found


def _entries(model: WordModel) -> list[Entry]:
    """The texts' own words as they are said."""
    found = []
    for word in model.words:
        sounds = syllables(word)
        if len(word) <= LONGEST and len(sounds) == len(word) and all(isinstance(s, Syllable) for s in sounds):
            found.append(Entry(word, tuple(s for s in sounds if isinstance(s, Syllable))))
    return found
