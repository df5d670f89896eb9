"""A transcript with times; as plain text or JSON (`subtitles` has the other formats)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from ..base.errors import SecateurError, nearest
from ..base.files import FolderPath
from ..base.options import to_dict
from ..decode.segments import Segment, Word

Format = Literal["txt", "json", "srt", "vtt"]


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


def one_file(out: Path) -> bool:
    """Whether --out is called like a transcript (talk.srt) or a manifest, not like a folder.

    Raises:
        SecateurError: it is called like a file of a kind that is not written.
    """
    if isinstance(out, FolderPath) or out.is_dir():
        return False
    known, ending = [*get_args(Format), "jsonl"], out.suffix.lower()[1:]
    if ending not in known and ending.isalnum() and not ending.isdigit():
        raise SecateurError(
            f"--out {out}: no transcript is written as .{ending}{nearest(ending, known)}; known: "
            f"{' '.join(f'.{one}' for one in known)}; a new folder of that name takes a slash: {out}/"
        )
    return ending in known


def names_manifest(out: Path | None) -> bool:
    """Whether --out is called like a manifest."""
    return out is not None and out.suffix.lower() == ".jsonl" and one_file(out)
