"""What can be wrong with a clip, and from where on it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..audio.level import SILENCE_DB

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
