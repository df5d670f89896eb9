"""What is in a data set: hours, speakers, lengths, words; whole or by language, speaker or any extra."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..base.errors import SecateurError
from ..base.extras import require
from ..base.files import atomic_path
from ..text.normalise import CHARACTER_LANGUAGES, base_language
from .manifest import FIELDS, Utterance

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
    if base_language(language) in CHARACTER_LANGUAGES:
        return [c for c in text.casefold() if c.isalnum()]
    return re.findall(r"\w+(?:['’]\w+)*", text.casefold())


def stats(utterances: Sequence[Utterance]) -> Stats:
    """Counts over all of `utterances`."""
    counts = Counter(word for u in utterances for word in words_of(u.text, u.language))
    durations = [u.duration for u in utterances]
    seconds = np.percentile(durations, PERCENTILES) if durations else np.zeros(len(PERCENTILES))
    return Stats(
        utterances=len(utterances),
        hours=sum(durations) / 3600,
        speakers=len({u.speaker for u in utterances if u.speaker}),
        seconds={str(p): round(float(s), 3) for p, s in zip(PERCENTILES, seconds, strict=True)},
        words=counts.total(),
        vocabulary=len(counts),
        without_text=sum(not u.text.strip() for u in utterances),
        languages=dict(Counter(u.language for u in utterances).most_common()),
    )


def stats_by(utterances: Sequence[Utterance], by: str) -> dict[str, Stats]:
    """Counts for each value of a field or extra, the most hours first; "" where it is absent.

    Raises:
        SecateurError: no utterance has it.
    """
    groups: dict[str, list[Utterance]] = {}
    for u in utterances:
        value = getattr(u, by) if by in FIELDS else u.extras.get(by, "")
        groups.setdefault(str(value), []).append(u)
    if set(groups) <= {""}:
        known = sorted({"speaker", "language"} | {key for u in utterances for key in u.extras})
        raise SecateurError(f"no utterance has '{by}'; there are: {', '.join(known)}")
    parts = {name: stats(members) for name, members in groups.items()}
    return dict(sorted(parts.items(), key=lambda item: -item[1].hours))


def write_histogram(path: Path, utterances: Sequence[Utterance]) -> None:
    """A PNG of how long the clips and how talkative the speakers are.

    Raises:
        SecateurError: matplotlib is not installed, or the file cannot be written.
    """
    figures = require("matplotlib.figure", "train")
    figure = figures.Figure(figsize=(9, 3.2), layout="constrained")
    lengths, speakers = figure.subplots(1, 2)
    lengths.hist([u.duration for u in utterances], bins=40, color="#3b6ea5")
    lengths.set(xlabel="length of a clip, s", ylabel="clips")
    minutes: Counter[str] = Counter()
    for u in utterances:
        minutes[u.speaker] += u.duration / 60  # type: ignore[assignment]
    speakers.hist(list(minutes.values()), bins=min(40, max(5, len(minutes) // 3)), color="#3b6ea5")
    speakers.set(xlabel="minutes of a speaker", ylabel="speakers")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
