"""Pieces of a recording with times, from timestamp tokens or from cuts at quiet places; and transcripts of them,
as plain text or JSON (`runtime.subtitles` has the other formats).
"""

from __future__ import annotations

import bisect
import itertools
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ..base.errors import SecateurError, nearest
from ..base.files import FolderPath
from ..base.options import to_dict
from ..text.tokens import Tokens
from .rules import STEP

Audio = NDArray[np.float32]
Format = Literal["txt", "json", "srt", "vtt"]


@dataclass(frozen=True)
class Word:
    """One word, from `start` to `end` (seconds); `confidence` from 0 to 1 is the mean probability of its tokens."""

    text: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class Segment:
    """The text from `start` to `end` (seconds), with each token's log probability; `words` if asked for."""

    start: float
    end: float
    text: str
    avg_logprob: float
    no_speech_prob: float | None
    tokens: tuple[int, ...]
    log_probs: tuple[float, ...] = ()
    confidence: float | None = None  # as a word's
    words: tuple[Word, ...] = ()
    temperature: float = 0.0  # it was decoded at
    channel: str | None = None  # "left" or "right" (or a number from 1) of a recording whose channels were split


def confidence(log_probs: Sequence[float]) -> float:
    """The (geometric) mean probability of tokens, 0 to 1; 0 for none."""
    return round(math.exp(sum(log_probs) / len(log_probs)), 4) if log_probs else 0.0


def moved(segment: Segment, by: float) -> Segment:
    """The segment `by` seconds later; times to the millisecond."""
    words = tuple(replace(w, start=round(w.start + by, 3), end=round(w.end + by, 3)) for w in segment.words)
    return replace(segment, start=round(segment.start + by, 3), end=round(segment.end + by, 3), words=words)


def one_after_another(segments: Sequence[Segment]) -> list[Segment]:
    """Segments of which none ends after the next one begins."""
    return [
        replace(one, end=max(one.start, following.start)) if one.end > following.start else one
        for one, following in itertools.pairwise(segments)
    ] + list(segments[-1:])


def divided(
    segment: Segment, starts: Sequence[int], decode: Callable[[list[int]], str], pauses: Sequence[tuple[float, float]]
) -> list[Segment]:
    """A segment in parts that end at the `pauses` (start, end; seconds) between its words.

    `starts` are the places of the words' first tokens. A word belongs to the side of a pause on which its middle is.
    """
    words = segment.words
    middles = [(word.start + word.end) / 2 for word in words]
    cuts = sorted({bisect.bisect(middles, (a + b) / 2) for a, b in pauses} - {0, len(words)})
    parts = []
    for k, after in itertools.pairwise([0, *cuts, len(words)]) if cuts else ():
        a, b = starts[k] if k else 0, starts[after] if after < len(words) else len(segment.tokens)
        tokens, log_probs = segment.tokens[a:b], segment.log_probs[a:b]
        start = words[k].start if k else segment.start
        end = words[after - 1].end if after < len(words) else max(segment.end, words[-1].end)
        text, sure = decode(list(tokens)).strip(), confidence(log_probs)
        parts.append(Segment(
            start, end, text, segment.avg_logprob, segment.no_speech_prob, tokens, log_probs, sure, words[k:after],
            segment.temperature, segment.channel,
        ))  # fmt: skip
    return parts or [segment]


def split(produced: Sequence[int], tokens: Tokens, window: float) -> tuple[list[tuple[float, float, list[int]]], float]:
    """Segments `(start, end, ids)` of one window's output, and where the next window begins; in seconds from its start.

    As the Whisper reference: two timestamps in a row end one segment and begin the next; what follows the last such
    pair was cut off by the window's end and is decoded again, unless the output ends with a single timestamp.
    """
    assert tokens.timestamps is not None
    first = tokens.timestamps
    ids = list(produced)
    is_time = [i >= first for i in ids]
    ends_once = is_time[-2:] == [False, True]
    borders = [i for i in range(1, len(ids)) if is_time[i - 1] and is_time[i]]
    if not borders:
        begun = (ids[0] - first) * STEP if ids and is_time[0] else 0.0
        end = (ids[-1] - first) * STEP if ends_once else window
        return [(min(begun, window) if begun < end else 0.0, min(window, end), ids)], window
    if ends_once:
        borders.append(len(ids))
    pieces = [ids[a:b] for a, b in zip([0, *borders[:-1]], borders, strict=True)]
    segments = [
        ((piece[0] - first) * STEP if piece[0] >= first else 0.0, (piece[-1] - first) * STEP, piece) for piece in pieces
    ]
    following = window if ends_once else (ids[borders[-1] - 1] - first) * STEP
    return segments, following if following > 0 else window


def next_cut(audio: Audio, start: int, longest: int, sample_rate: int) -> int:
    """Where the piece of `audio` from sample `start` ends: at most `longest` samples on, in the quietest 0.2 s.

    It is looked for in the last third of the piece; where the rest makes just two pieces, from the rest's first
    quarter on, so that no crumb of a few words is left over.
    """
    rest = len(audio) - start
    if rest <= longest:
        return len(audio)
    hop, smooth = sample_rate // 50, 10
    earliest = longest * 2 // 3 if rest > longest * 5 // 4 else rest - longest * 3 // 4
    frames = (longest - earliest) // hop
    if frames <= smooth:  # pieces too short to choose in; of no length there would be no end of them
        return start + max(longest, 1)
    near = audio[start + earliest : start + earliest + frames * hop].astype(np.float64)
    energy = np.convolve((near.reshape(frames, hop) ** 2).mean(1), np.ones(smooth), "same")
    # At the edges the sum has fewer terms and would look quiet.
    middle = smooth // 2
    return start + earliest + (middle + int(energy[middle : frames - middle].argmin())) * hop


def quiet_cuts(audio: Audio, longest: int, sample_rate: int) -> list[tuple[int, int]]:
    """Cut `audio` into pieces `(start, end)` of at most `longest` samples, at quiet places (see `next_cut`)."""
    pieces, start = [], 0
    while start < len(audio):
        end = next_cut(audio, start, longest, sample_rate)
        pieces.append((start, end))
        start = end
    return pieces


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
