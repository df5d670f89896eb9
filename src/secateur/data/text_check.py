"""What can be wrong with a clip; which transcripts are unlike the others of their language.

A first pass learns what is usual, a second one judges.

What is kept of a clip between the passes is its rate and its speaker's number (12 bytes), whatever the set's size.
"""

from __future__ import annotations

import itertools
import math
import unicodedata
from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..audio.arrays import SILENCE_DB
from ..text.clean import cleaner, markup_in
from .manifest import Utterance
from .times import times_in

Kind = Literal[
    "missing",
    "corrupt",
    "zero-length",
    "silent",
    "clipped",
    "duration",
    "no-text",
    "rate",
    "characters",
    "duplicate",
    "times",
    "same-id",
    "line",
]
MEANING: dict[Kind, str] = {
    "missing": "no such audio file",
    "corrupt": "the audio cannot be decoded",
    "zero-length": "the audio has no samples",
    "silent": "nothing in it is louder than silence",
    "clipped": "recorded too loud",
    "duration": "the manifest states another length",
    "no-text": "no transcript",
    "rate": "too many or too few characters a second for this speaker: perhaps another clip's transcript",
    "characters": "marks or characters that hardly any other transcript has",
    "times": "times inside of the transcript: labels or subtitles taken for text",
    "duplicate": "the same samples as another clip",
    "same-id": "an id that a line before it has",
    "line": "no utterance: every other command refuses the manifest",
}


@dataclass(frozen=True)
class CheckSettings:
    """From where on something is a problem."""

    clipped: float = 0.01  # share of samples at full scale
    duration: float = 0.1  # s, plus 1 % of the clip
    silence_db: float = SILENCE_DB  # dBFS
    rate_factor: float = 3.0  # times faster or slower than the speaker's median, and
    rate_deviations: float = 4.0  # as many standard deviations away from it (of the logarithm, by quartiles)
    rare: float = 0.005  # share of transcripts below which a foreign script or symbol is unusual
    few: int = 20  # with fewer transcripts in a language, rates and characters are not judged
    few_of_speaker: int = 8  # speakers with fewer are compared with the whole set


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with one utterance."""

    kind: Kind
    id: str
    detail: str
    audio: Path


@dataclass
class _Language:
    """What is usual in one language."""

    texts: int = 0
    sorts: Counter[str] = field(default_factory=Counter)  # texts that have a script or symbol
    speakers: dict[str, int] = field(default_factory=dict)  # name to number
    rates: array[float] = field(default_factory=lambda: array("d"))  # logarithm of characters a second
    numbers: array[int] = field(default_factory=lambda: array("I"))  # the speaker of each rate
    usual: NDArray[np.float64] | None = None  # by speaker; None: too few to judge
    limit: float = 0.0
    unusual: frozenset[str] = frozenset()


class TextJudge:
    """`learn` all transcripts, `settle`, then ask for the `problems` of each."""

    def __init__(self, settings: CheckSettings) -> None:
        self.settings = settings
        self._clean = cleaner()
        self._languages: dict[str, _Language] = {}

    def learn(self, u: Utterance) -> None:
        """Take one transcript into account."""
        text = u.text.strip()
        if not text:
            return
        language = self._languages.setdefault(u.language, _Language())
        language.texts += 1
        language.sorts.update({sort_of(c) for c in set(self._clean(u.text))})
        if u.duration > 0:
            language.rates.append(math.log(len(text) / u.duration))
            language.numbers.append(language.speakers.setdefault(u.speaker, len(language.speakers)))

    def settle(self) -> None:
        """Work out what is usual, once everything is learnt."""
        for language in self._languages.values():
            if language.texts < self.settings.few:
                continue
            limit = max(1.0, self.settings.rare * language.texts)
            language.unusual = frozenset(s for s, count in language.sorts.items() if count <= limit and s)
            if len(language.rates) >= self.settings.few:
                self._settle_rates(language)

    def _settle_rates(self, language: _Language) -> None:
        """The median rate of every speaker (of the set, for those with few clips), and how far from it is too far.

        Measured as logarithms. Only a recogniser finds a wrong transcript of the right length.
        """
        rates, numbers = np.frombuffer(language.rates), np.frombuffer(language.numbers, np.uint32)
        usual = np.full(len(language.speakers), np.median(rates))
        order = np.argsort(numbers, kind="stable")
        counts = np.bincount(numbers, minlength=len(usual))
        ends = np.cumsum(counts)
        for speaker in np.nonzero(counts >= self.settings.few_of_speaker)[0]:
            usual[speaker] = np.median(rates[order[ends[speaker] - counts[speaker] : ends[speaker]]])
        # By quartiles, as of a normal distribution: what is wrong must not widen what is usual.
        lower, upper = np.percentile(rates - usual[numbers], (25, 75), method="weibull")
        language.usual = usual
        language.limit = max(
            self.settings.rate_deviations * float(upper - lower) / 1.349, math.log(self.settings.rate_factor)
        )
        language.rates, language.numbers = array("d"), array("I")

    def problems(self, u: Utterance) -> list[Problem]:
        """What is wrong with the transcript of one clip."""
        text = u.text.strip()
        if not text:
            return [] if u.no_speech else [Problem("no-text", u.id, "empty", u.audio)]
        listed = []
        times = times_in(u.text)
        if times:
            listed.append(Problem("times", u.id, f"'{times[:40]}'", u.audio))
        cleaned = self._clean(u.text)
        removed = [] if cleaned == u.text else sorted(c for c in set(u.text) - set(cleaned) if _is_mark(c))
        markup = markup_in(u.text)
        if any(one[0] == "&" for one in markup) or markup_in(cleaned):
            listed.append(Problem("characters", u.id, f"HTML entities or tags: {' '.join(markup[:8])[:80]}", u.audio))
        elif removed:
            listed.append(Problem("characters", u.id, f"marks that cleaning removes: {_shown(removed)}", u.audio))
        language = self._languages[u.language]
        if language.usual is not None and u.duration > 0:
            rate, usual = math.log(len(text) / u.duration), language.usual[language.speakers[u.speaker]]
            if abs(rate - usual) > language.limit:
                detail = f"{math.exp(rate):.1f} characters a second, usual are {math.exp(usual):.1f}"
                listed.append(Problem("rate", u.id, detail, u.audio))
        if language.unusual:
            strange = sorted({c for c in set(cleaned) if sort_of(c) in language.unusual})
            if strange:
                listed.append(Problem("characters", u.id, f"unusual in this set: {_shown(strange)}", u.audio))
        return listed


def _is_mark(character: str) -> bool:
    """Whether a character that cleaning removes is a bracket or invisible, rather than an ordinary variant."""
    return character in "<>[]{}\ufffd" or (unicodedata.category(character) in ("Cc", "Cf") and not character.isspace())


@lru_cache(maxsize=1 << 15)
def sort_of(character: str) -> str:
    """The script of a letter, a symbol itself, and nothing for digits, marks, spaces and punctuation.

    >>> sort_of("é"), sort_of("ж"), sort_of("€"), sort_of("?")
    ('LATIN', 'CYRILLIC', '€', '')
    """
    category = unicodedata.category(character)
    if category.startswith("L"):
        return unicodedata.name(character, "unknown").split()[0].removesuffix("-")
    return character if category.startswith("S") or category in ("Co", "Cn", "Cs") else ""


def _shown(characters: Iterable[str]) -> str:
    return " ".join(c if c.isprintable() else f"U+{ord(c):04X}" for c in itertools.islice(characters, 8))
