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
from typing import NamedTuple, Protocol

from ..base.files import Json
from ..base.options import from_dict
from .chinese import HAN, simplified, written_as
from .lattice import Edge, MixedScores, WordLm, beam_path, best_path
from .left_alone import CANTONESE, frozen
from .lexicon import LONGEST, Entry, Lexicon, general_lexicon
from .pinyin import NEUTRAL, Syllable, parse_syllable, syllables
from .pinyin_text import read_pinyin
from .word_model import WordModel, WordScores

WITH_HEAD = 3.0  # nats a changed character at most, unless another was chosen, where a pinyin head is asked
SELDOM = 2.0  # nats for every reading of a single character that is more usual
TYPED = 3.0  # times the costs: pinyin that somebody typed is seldom wrong
SURE = 0.9  # a recogniser that is surer than this costs more to contradict
RARE_CHARACTER = 3.0  # of a million words, by itself
COMMON = 1.0  # of a million words: rarer ones may be chance
Span = tuple[int, int]  # characters of a text, the end not included


class SoundEvidence(Protocol):
    """What a pinyin head made of a clip (`head_evidence.HeadEvidence`)."""

    def best(self) -> str:
        """The best path's syllables, separated by spaces."""

    def scores(self, spoken: Sequence[Sequence[Syllable]]) -> list[float]:
        """log P(syllables | clip) of each of several sequences."""


@dataclass(frozen=True)
class SoundCosts:
    """What a word pays, in nats, for a syllable that differs from what was recognised.

    By default correction changes about one character in a thousand of correct text; a weak model's texts are worth
    more, which a dev set tells (`evaluate.corrected.chosen`).
    """

    changed: float = 8.0  # correction: another character than was written
    careful: bool = True  # correction: leave words, names and single characters alone (`left_alone`)
    sure: float = 1.0  # correction: weight of the odds that a character was recognised right, where they are known
    tone: float = 1.5  # another tone
    near: float = 3.0  # another sound of the same class (zh and z, ang and an)
    other_sound: float = 1.0  # correction: the sound that the pinyin head recognised in place of what was written
    head: float = 0.5  # correction: weight of what the pinyin head says of the changed syllables, a log probability
    lm: float = 0.8  # correction: a language model's share of a word's probability, where there is one


def costs_of(model: WordModel, changed: float | None = None) -> SoundCosts:
    """The costs that were chosen for a word file, else the defaults; `changed` wins.

    Raises:
        SecateurError: a cost that is not known.
    """
    stored: Json = dict(model.costs)
    if "careful" in stored:
        stored["careful"] = bool(stored["careful"])
    costs: SoundCosts = from_dict(SoundCosts, stored, "costs of the word file")
    return costs if changed is None else replace(costs, changed=changed)


class Rival(NamedTuple):
    """A word that may stand for what is written in a place."""

    word: str
    changed: int  # characters
    evidence: float  # for it, besides what these cost
    gain: float  # log probability under the head against that of what is written


@dataclass(frozen=True)
class Places:
    """A run of Chinese characters, and what competes with them in its places."""

    run: str
    rivals: Mapping[Span, Sequence[Rival]]


@dataclass(frozen=True)
class Competition:
    """A text in pieces, with what competes in its Chinese runs, found with or without a head."""

    careful: bool
    head: bool
    parts: tuple[str | Places, ...]


class BySound:
    """Writes what was said, with the words of `model`'s texts and of a dictionary (by default the general one).

    Correction also asks `lm`, n-grams of words as the dictionary has them, where there is one.
    """

    def __init__(
        self,
        model: WordModel,
        costs: SoundCosts | None = None,
        lexicon: Lexicon | None = None,
        lm: WordLm | None = None,
    ) -> None:
        self.costs = costs or costs_of(model)
        self.lexicon = lexicon or general_lexicon()
        self.model = model
        self.scores = WordScores(model, self.lexicon.frequency)
        self.own = Lexicon({}, _entries(model))
        self.lm = lm
        self.mixed = None if lm is None else MixedScores(self.scores, lm, self.costs.lm)

    def costing(self, costs: SoundCosts) -> BySound:
        """The same with other costs; the dictionaries are shared."""
        copied = copy.copy(self)
        copied.costs = costs
        if self.lm is not None and costs.lm != self.costs.lm:
            copied.mixed = MixedScores(self.scores, self.lm, costs.lm)
        return copied

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

    def _run(self, spoken: Sequence[Syllable]) -> str:
        """The likeliest words of syllables in a row."""
        edges: list[list[Edge]] = []
        for i in range(len(spoken)):
            result = [Edge(i + 1, spoken[i].numbered, -50.0)]
            for end in range(i + 1, min(i + LONGEST, len(spoken)) + 1):
                some = spoken[i:end]
                result += [
                    Edge(end, e.word, TYPED * self._unlike(e.sounds, some) - SELDOM * e.rank) for e in self._like(some)
                ]
            edges.append(result)
        return "".join(self._likeliest(edges))

    def correct(self, text: str, head: SoundEvidence | None = None, confidence: Sequence[float] | None = None) -> str:
        """`text` with its Chinese runs rewritten where words that sound alike are much likelier; the rest stays.

        `confidence` has a probability for every character of `text`: what the recogniser was sure of costs more to
        change. Text in Cantonese stays; in traditional characters it is corrected as if simplified, and stays in them.

        `head` is what a pinyin head recognised in the same clip: where it says another sound than was written, words of
        that sound compete, too; and each word that competes is weighed by how much better or worse its syllables fit
        what was recognised than those that were written.
        """
        plain = simplified(text)
        if plain == text or len(plain) != len(text) or CANTONESE.search(text):
            return self.decided(self.competing(text, head, confidence))
        return written_as(text, self.decided(self.competing(plain, head, confidence)))

    def competing(
        self, text: str, head: SoundEvidence | None = None, confidence: Sequence[float] | None = None
    ) -> Competition:
        """What may stand in each place of a text, before `changed`, `head` and `lm` of the costs weigh it."""
        careful = self.costs.careful and head is None  # a head says itself where a word was not what was spoken
        if CANTONESE.search(text):
            return Competition(careful, head is not None, (text,))
        runs = list(re.finditer(f"[{HAN}]+", text))
        spoken = [s for run in runs for s in self._sounds(run[0])]
        also: list[Syllable | None] = [None] * len(spoken)
        if head is not None:
            also = aligned(spoken, [parse_syllable(name) for name in head.best().split()])
        parts, at, end = list[str | Places](), 0, 0
        for run in runs:
            span = at, at + len(run[0])
            odds = [0.0] * len(run[0])
            if confidence is not None:
                odds = [self.costs.sure * _odds(p) for p in confidence[run.start() : run.end()]]
            parts += [text[end : run.start()], self._places(run[0], spoken, also, span, head, odds, careful)]
            at, end = span[1], run.end()
        return Competition(careful, head is not None, (*parts, text[end:]))

    def decided(self, among: Competition) -> str:
        """The text of the likeliest words."""
        changed = self.costs.changed
        if self.costs.careful and among.head:
            changed = min(changed, WITH_HEAD)
        return "".join(part if isinstance(part, str) else self._best(part, changed) for part in among.parts)

    def __contains__(self, word: object) -> bool:
        """Whether the dictionary or the texts have a word, and not only just."""
        return self.lexicon.frequency.get(str(word), 0.0) >= COMMON or word in self.model.words

    def _sounds(self, run: str) -> list[Syllable]:
        """One syllable a character; an empty one where a character has no known reading."""
        result = syllables(run)
        if len(result) != len(run):
            return [Syllable("", "", NEUTRAL)] * len(run)
        return [s if isinstance(s, Syllable) else Syllable("", "", NEUTRAL) for s in result]

    def _places(
        self, run: str, spoken: Sequence[Syllable], also: Sequence[Syllable | None], span: Span,
        head: SoundEvidence | None, odds: Sequence[float], careful: bool,
    ) -> Places | str:  # fmt: skip
        """What competes in the Chinese `run`, which has the syllables `span` of the whole text, `spoken`."""
        first, last = span
        if not all(s.final for s in spoken[first:last]):
            return run
        stays = frozen(run, self, self.model.protected, careful)
        if careful:  # nobody writes a rare character by mistake: it belongs to a name or a term
            stays |= {i for i, c in enumerate(run) if self.lexicon.frequency.get(c, 0.0) < RARE_CHARACTER}
        if len(stays) == len(run):
            return run
        others: dict[Span, dict[Entry, tuple[int, float]]] = {}
        for i in range(len(run)):
            for end in range(i + 1, min(i + LONGEST, len(run)) + 1):
                here = slice(first + i, first + end)
                costs = [None if place in stays else odds[place] for place in range(i, end)]
                if all(c is None for c in costs) or (careful and end - i == 1):
                    continue
                others[i, end] = self._others(run[i:end], spoken[here], also[here], costs, careful)
        gains = self._gains(others, spoken, first, head)
        return Places(
            run,
            {
                (i, end): [
                    Rival(entry.word, changed, evidence, gains.get((i, end, entry.sounds), 0.0))
                    for entry, (changed, evidence) in words.items()
                ]
                for (i, end), words in others.items()
            },
        )

    def _best(self, places: Places, changed: float) -> str:
        """The likeliest words of a run, where each changed character costs `changed`."""
        run, edges = places.run, list[list[Edge]]()
        for i in range(len(run)):
            result = {run[i]: Edge(i + 1, run[i])}
            for end in range(i + 1, min(i + LONGEST, len(run)) + 1):
                kept = run[i:end]
                if kept in self.lexicon.frequency or kept in self.model.words:
                    result[kept] = Edge(end, kept)
                for word, characters, evidence, gain in places.rivals.get((i, end), ()):
                    evidence += self.costs.head * gain - changed * characters
                    if word not in result or evidence > result[word].evidence:
                        result[word] = Edge(end, word, evidence)
            edges.append(list(result.values()))
        return "".join(self._likeliest(edges)) or run

    def _likeliest(self, edges: Sequence[Sequence[Edge]]) -> list[str]:
        """The words of the likeliest path, under the language model too where there is one."""
        return best_path(edges, self.scores) if self.mixed is None else beam_path(edges, self.mixed)

    def _gains(
        self,
        others: Mapping[Span, Mapping[Entry, object]],
        spoken: Sequence[Syllable],
        first: int,
        head: SoundEvidence | None,
    ) -> dict[tuple[int, int, tuple[Syllable, ...]], float]:
        """What the head has for or against the sounds of each word, in its place in the whole text, `spoken`."""
        if head is None:
            return {}
        places = list(dict.fromkeys((*span, entry.sounds) for span, words in others.items() for entry in words))
        changed = [[*spoken[: first + i], *sounds, *spoken[first + end :]] for i, end, sounds in places]
        before, *after = head.scores([spoken, *changed])
        return {place: now - before for place, now in zip(places, after, strict=True)}

    def _others(
        self, kept: str, spoken: Sequence[Syllable], also: Sequence[Syllable | None], costs: Sequence[float | None],
        careful: bool,
    ) -> dict[Entry, tuple[int, float]]:  # fmt: skip
        """Words, as they sound, that may stand for the written `kept`, each with the number of characters that it
        changes and its evidence besides.

        `costs` has what a change of each character costs more; None: it stays. `careful`: only words that are usual.
        """
        result: dict[Entry, tuple[int, float]] = {}
        choices = [(a,) if b is None or a.sound == b.sound else (a, b) for a, b in zip(spoken, also, strict=True)]
        for sounds in itertools.product(*choices):
            from_head = sum(a is not b for a, b in zip(sounds, spoken, strict=True))
            for entry in self._like(sounds):
                changed = [c for a, b, c in zip(entry.word, kept, costs, strict=True) if a != b]
                if not changed or None in changed or (careful and entry.word not in self):
                    continue
                evidence = self._unlike(entry.sounds, sounds, kept, entry.word) - SELDOM * entry.rank
                evidence -= sum(c for c in changed if c is not None) + self.costs.other_sound * from_head
                if entry not in result or evidence > result[entry][1]:
                    result[entry] = len(changed), evidence
        return result

    def _like(self, spoken: Sequence[Syllable]) -> list[Entry]:
        own = self.own.like(spoken)
        names = {entry.word for entry in own}
        return own + [entry for entry in self.lexicon.like(spoken) if entry.word not in names]

    def _unlike(self, sounds: Sequence[Syllable], spoken: Sequence[Syllable], kept: str = "", word: str = "") -> float:
        """The evidence (0 or less) for a word's `sounds` where `spoken` was recognised; what stays pays nothing."""
        cost = 0.0
        for i, (a, b) in enumerate(zip(sounds, spoken, strict=True)):
            if kept and kept[i] == word[i]:
                continue
            cost += self.costs.near * (a.sound != b.sound)
            cost += self.costs.tone * (a.tone != b.tone and NEUTRAL not in (a.tone, b.tone))
        return -cost


def _odds(probability: float) -> float:
    """By how much surer than `SURE` something is, as the logarithm of the odds; 0 where it is less sure."""
    p = min(max(probability, SURE), 0.999)
    return math.log(p / (1 - p)) - math.log(SURE / (1 - SURE))


def aligned(spoken: Sequence[Syllable], recognised: Sequence[Syllable]) -> list[Syllable | None]:
    """For each syllable `spoken` the one that was `recognised` in its place, or None; tones do not count.

    Stretches of another length than what was recognised there say nothing.
    """
    result: list[Syllable | None] = [None] * len(spoken)
    matcher = SequenceMatcher(None, [s.sound for s in spoken], [s.sound for s in recognised], autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind == "equal" or (kind == "replace" and b - a == d - c):
            result[a:b] = recognised[c:d]
    return result


def _entries(model: WordModel) -> list[Entry]:
    """The texts' own words as they are spoken."""
    result = []
    for word in model.words:
        sounds = syllables(word)
        if len(word) <= LONGEST and len(sounds) == len(word) and all(isinstance(s, Syllable) for s in sounds):
            result.append(Entry(word, tuple(s for s in sounds if isinstance(s, Syllable))))
    return result
