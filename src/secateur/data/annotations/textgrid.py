"""Praat's TextGrid, in its long and its short form."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise

from ...base.errors import SecateurError
from .span import SILENCES, TimedText, utterances_of

TOKEN = re.compile(  # a string, a flag, a number, or a comment up to the end of the line
    r'"((?:[^"]|"")*)"|<(exists|absent)>|(?<![\w.\]\[-])(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w\]])|(!.*)'
)
SOUNDS = re.compile(r"phon|syll|sampa|\bipa\b|\bmau\b|\bkas\b|tone|pitch|note|comment|break", re.IGNORECASE)
WORDS = re.compile(r"(?:^|[\s_-])(?:words?|ort(?:-mau)?|tokens?|wort|wörter|mots)$", re.IGNORECASE)
GENERAL = re.compile(
    r"^(?:text|texts|transcript|transcription|transcripts|trans|sentences?|utterances?|utt|segments?|phrases?|"
    r"orthography|orthographic|ort|tier|tier ?\d+|tekst|texte|satz|sätze|labels?|default|speech|)$",
    re.IGNORECASE,
)


@dataclass
class Tier:
    """A line of intervals."""

    name: str
    spans: list[TimedText] = field(default_factory=list)


def read_textgrid(text: str, where: str) -> list[TimedText]:
    """The utterances of a TextGrid.

    Tiers of sounds and notes are left out. A tier of words counts where no other tier has text, its words joined at
    pauses. A tier's name is the speaker unless it says what a tier is (`text`, `words`, `anna - words`).

    Raises:
        SecateurError: not a TextGrid, or cut off.
    """
    tiers = [tier for tier in read_tiers(text, where) if tier.spans and not SOUNDS.search(tier.name)]
    sentences = [tier for tier in tiers if not WORDS.search(tier.name)]
    utterances: list[TimedText] = []
    for tier in sentences or tiers:
        spans = [span for span in tier.spans if span.text.strip().lower() not in SILENCES]
        speaker = WORDS.sub("", tier.name).strip(" -_") if not sentences else tier.name
        speaker = "" if GENERAL.match(speaker.strip()) else speaker.strip()
        single = sum(len(span.text.split()) == 1 for span in spans)
        if not sentences or (len(spans) > 5 and single > 0.95 * len(spans) and _dense(spans)):
            spans = utterances_of(spans)
        utterances += [TimedText(s.start, s.end, s.text, speaker) for s in spans]
    return sorted(utterances, key=lambda s: (s.start, s.end))


def _dense(spans: list[TimedText]) -> bool:
    """Whether most intervals follow each other without a pause, as words do."""
    return sum(b.start - a.end < 0.05 for a, b in pairwise(spans)) > 0.5 * len(spans)


def read_tiers(text: str, where: str) -> list[Tier]:
    """All tiers of intervals; tiers of points hold no speech.

    Raises:
        SecateurError: not a TextGrid, or cut off.
    """
    if "ooTextFile" not in text[:200] and "TextGrid" not in text[:400]:
        raise SecateurError(f"{where}: not a TextGrid: its first lines do not say so")
    # Long or short, it is a row of strings, numbers and flags; names before "=" and counts in brackets say nothing.
    values: list[str | float] = []
    for match in TOKEN.finditer(text):
        if match[1] is not None:
            values.append(match[1].replace('""', '"'))
        elif match[3] is not None:
            values.append(float(match[3]))
    stream = iter(values)
    try:
        while next(stream) != "TextGrid":
            pass
        next(stream), next(stream)
        count = _count(next(stream), where)
        return [tier for tier in (_tier(stream, where) for _ in range(count)) if tier is not None]
    except StopIteration:
        raise SecateurError(f"{where}: cut off: it ends inside of a tier") from None
    except RuntimeError:  # StopIteration inside of the comprehension
        raise SecateurError(f"{where}: cut off: it ends inside of a tier") from None


def _tier(stream: object, where: str) -> Tier | None:
    take = stream.__next__  # type: ignore[attr-defined]
    kind, name = take(), take()
    take(), take()
    tier = Tier(str(name))
    for _ in range(_count(take(), where)):
        if kind == "IntervalTier":
            start, end, text = take(), take(), take()
            if not (isinstance(start, float) and isinstance(end, float) and isinstance(text, str)):
                raise SecateurError(f"{where}: not a TextGrid (in the tier '{name}')")
            tier.spans.append(TimedText(start, end, text.strip()))
        else:
            take(), take()
    return tier if kind == "IntervalTier" else None


def _count(value: object, where: str) -> int:
    if not isinstance(value, float) or not value.is_integer() or not 0 <= value < 1e7:
        raise SecateurError(f"{where}: not a TextGrid ('{value}' where a count should be)")
    return int(value)
