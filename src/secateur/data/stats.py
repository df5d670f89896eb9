"""What is in a data set: hours, speakers, lengths, words; whole or by language, speaker or any extra."""

from __future__ import annotations

import math
import re
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..base.errors import UTTERANCES, SecateurError, several
from ..base.extras import require
from ..base.files import atomic_path
from ..text.languages import by_characters
from .fields import FIELDS
from .manifest import Utterance

PERCENTILES = (0, 5, 25, 50, 75, 95, 100)


@dataclass(frozen=True)
class Stats:
    """Counts of a set or of a part of it."""

    utterances: int
    hours: float
    speakers: int
    seconds: dict[str, float]  # percentile of the clips' durations ("0", "5", ... "100") to s
    words: int  # characters in languages that do not separate words
    vocabulary: int  # different words
    without_text: int
    languages: dict[str, int]  # utterances


def words_of(text: str, language: str) -> list[str]:
    """The words of a text in lower case, or its characters where words are not separated.

    >>> words_of("Don't stop!", "en"), words_of("你好。", "zh")
    (["don't", 'stop'], ['你', '好'])
    """
    if by_characters(language):
        return [c for c in text.casefold() if c.isalnum()]
    return re.findall(r"\w+(?:['’]\w+)*", text.casefold())


class Tally:
    """Counts clip by clip: 8 bytes a clip, and what the words and speakers take."""

    def __init__(self) -> None:
        self.words: Counter[str] = Counter()
        self.languages: Counter[str] = Counter()
        self.seconds: dict[str, float] = {}  # of every speaker
        self.durations = array("d")
        self.without_text = 0

    def add(self, u: Utterance) -> None:
        """Count one clip."""
        self.words.update(words_of(u.text, u.language))
        self.languages[u.language] += 1
        self.seconds[u.speaker] = self.seconds.get(u.speaker, 0.0) + u.duration
        self.durations.append(u.duration)
        self.without_text += not u.text.strip()

    def stats(self) -> Stats:
        """The statistics of all clips that were added."""
        seconds = np.percentile(self.durations, PERCENTILES) if self.durations else np.zeros(len(PERCENTILES))
        return Stats(
            utterances=len(self.durations),
            hours=math.fsum(self.durations) / 3600,
            speakers=len(self.seconds.keys() - {""}),
            seconds={str(p): round(float(s), 3) for p, s in zip(PERCENTILES, seconds, strict=True)},
            words=self.words.total(),
            vocabulary=len(self.words),
            without_text=self.without_text,
            languages=dict(self.languages.most_common()),
        )


class Tallies:
    """A tally for each value of a field or extra, "" where it is absent."""

    def __init__(self, by: str) -> None:
        self.by = by
        self._parts: dict[str, Tally] = {}
        self._extras: set[str] = set()

    def add(self, u: Utterance) -> None:
        """Count one clip in its group."""
        value = getattr(u, self.by) if self.by in FIELDS else u.extras.get(self.by, "")
        self._extras |= u.extras.keys()
        self._parts.setdefault(str(value), Tally()).add(u)

    def stats(self) -> dict[str, Stats]:
        """Counts of every group, the most hours first.

        Raises:
            SecateurError: no utterance has the field.
        """
        if set(self._parts) <= {""}:
            known = sorted({"speaker", "language"} | self._extras)
            raise SecateurError(f"no utterance has '{self.by}'; there are: {', '.join(known)}")
        parts = {name: tally.stats() for name, tally in self._parts.items()}
        return dict(sorted(parts.items(), key=lambda item: -item[1].hours))


def stats(utterances: Iterable[Utterance]) -> Stats:
    """Counts over all of `utterances`."""
    tally = Tally()
    for u in several("stats", utterances, UTTERANCES):
        tally.add(u)
    return tally.stats()


def draw_histogram(path: Path, tallies: Sequence[Tally]) -> None:
    """A PNG of how long the clips and how talkative the speakers are.

    Raises:
        SecateurError: matplotlib is not installed, or the file cannot be written.
    """
    figures = require("matplotlib.figure", "train")
    figure = figures.Figure(figsize=(9, 3.2), layout="constrained")
    lengths, speakers = figure.subplots(1, 2)
    lengths.hist(np.concatenate([np.frombuffer(t.durations) for t in tallies]), bins=40, color="#3b6ea5")
    lengths.set(xlabel="length of a clip, s", ylabel="clips")
    minutes: Counter[str] = Counter()
    for tally in tallies:
        for speaker, seconds in tally.seconds.items():
            minutes[speaker] += seconds / 60  # type: ignore[assignment]
    speakers.hist(list(minutes.values()), bins=min(40, max(5, len(minutes) // 3)), color="#3b6ea5")
    speakers.set(xlabel="minutes of a speaker", ylabel="speakers")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
