"""A transcript with times; as plain text or JSON (`subtitles` has the other formats)."""

from __future__ import annotations

import json
from dataclasses import dataclass

from ..base.options import to_dict
from ..decode.segments import Segment, Word


@dataclass(frozen=True)
class Transcript:
    """The text of one recording of `duration` seconds, whole and in segments."""

    text: str
    language: str | None
    segments: tuple[Segment, ...]
    duration: float
    confidence: float | None = None  # 0 to 1, the mean probability of its tokens; None: no text

    @property
    def words(self) -> tuple[Word, ...]:
        """All words with their times and confidence, where they were asked for (`DecodingOptions.word_times`)."""
        return tuple(word for segment in self.segments for word in segment.words)


def as_txt(transcript: Transcript) -> str:
    """The text, on one line; of split channels a line a turn."""
    return transcript.text + "\n"


def as_json(transcript: Transcript) -> str:
    """Every field, segments with their times, tokens and probabilities."""
    return json.dumps(to_dict(transcript), indent=2, ensure_ascii=False) + "\n"


def clock(seconds: float, point: str) -> str:
    """`HH:MM:SS` and milliseconds after `point`.

    >>> clock(3661.5, ",")
    '01:01:01,500'
    """
    milliseconds = round(seconds * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds // 1000:02}{point}{milliseconds % 1000:03}"
