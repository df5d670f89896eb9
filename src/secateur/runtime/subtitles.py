"""Subtitles: cues from word times, pauses and punctuation, in lines that can be read in the time there is."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from ..base.locale import columns
from ..base.options import Settings, option
from ..decode.segments import Segment, Transcript, Word, as_json, as_txt, clock
from .line_breaks import pieces, unbroken, whole_words, wide

WIDE_LINE, LINE = 18, 42  # characters a line: Chinese, Japanese and Korean; other scripts
SENTENCE, CLAUSE = re.compile(r"[.?!…。！？]['\"”’»)\]」』]*$"), re.compile(r"[,;:—–、，；：][\"”’»)\]」』]*$")
BREAK = 1.0  # seconds; a longer pause ends a cue
PAUSE = 0.3  # seconds; a longer one is a good place to end a cue
SHORTEST_CUE = 0.05  # seconds, where two cues leave no more between them


@dataclass(frozen=True)
class SubtitleSettings(Settings):
    """How text is cut into cues and lines; names are those of Whisper's own command line."""

    max_line_width: int | None = option(
        None,
        "Write at most this many letters a line; left out: 42, of Chinese, Japanese and Korean characters 18.",
        unit="letters",
        least=1,
    )
    max_line_count: int = option(2, "Show at most this many lines at a time.", unit="lines", least=1)
    max_words_per_line: int | None = option(
        None, "Write at most this many words a line; left out: as many as fit.", unit="words", least=1
    )
    max_cue_seconds: float = option(7.0, "Show a subtitle for at most this long.", unit="s", least=0.5)
    min_cue_seconds: float = option(
        1.0, "Show a subtitle for at least this long, where the next one leaves room.", unit="s", least=0
    )
    reading_speed: float = option(
        20.0,
        "Leave a subtitle for as long as so many letters a second take, where there is room.",
        unit="letters/s",
        above=0,
        advanced=True,
    )
    highlight_words: bool = option(False, "Underline every word while it is spoken.")


@dataclass(frozen=True)
class Cue:
    """Lines of words shown from `start` to `end` (seconds); `gaps[i][k]` is what stands before a line's k-th word."""

    start: float
    end: float
    lines: tuple[tuple[Word, ...], ...]
    gaps: tuple[tuple[str, ...], ...]
    channel: str = ""

    @property
    def text(self) -> str:
        """The words in lines, with the spaces between them."""
        return "\n".join(
            "".join(gap + word.text for gap, word in zip(gaps, line, strict=True)).strip()
            for line, gaps in zip(self.lines, self.gaps, strict=True)
        )


@dataclass(frozen=True)
class _Unit:
    """A word with what separates it from the one before."""

    word: Word
    gap: str
    width: int  # columns, without the gap


def cues(transcript: Transcript, settings: SubtitleSettings | None = None) -> list[Cue]:
    """The subtitles of a transcript, in their order of time, none over another of its channel.

    Words without times of their own share their segment's time by their length.
    """
    settings = settings or SubtitleSettings()
    limit = _limit(transcript.text, settings)
    characters = settings.highlight_words or settings.max_words_per_line is not None  # these count single ones
    result: list[Cue] = []
    for channel in dict.fromkeys(segment.channel or "" for segment in transcript.segments):
        units: list[_Unit] = []
        for segment in transcript.segments:
            if (segment.channel or "") == channel:
                units += _units(segment, limit, not units, not characters)
        parts = _divided(units, limit, settings)
        timed = _timed([[u.word for u in part] for part in parts], transcript.duration, settings)
        for part, (start, end) in zip(parts, timed, strict=True):
            lines = _lines(part, limit, settings)
            assert lines is not None
            result.append(Cue(
                start, end, tuple(tuple(u.word for u in line) for line in lines),
                tuple(tuple(u.gap if k else "" for k, u in enumerate(line)) for line in lines), channel,
            ))  # fmt: skip
    return sorted(result, key=lambda cue: cue.start)


def as_srt(transcript: Transcript, settings: SubtitleSettings | None = None) -> str:
    """SubRip subtitles, numbered from 1."""
    shown = [
        (start, end, (f"{channel}: " if channel else "") + text.replace("-->", "->"))
        for start, end, text, channel in _shown(transcript, settings, str)
    ]
    return "\n".join(
        f"{number}\n{clock(start, ',')} --> {clock(end, ',')}\n{text}\n"
        for number, (start, end, text) in enumerate(shown, 1)
    )


def as_vtt(transcript: Transcript, settings: SubtitleSettings | None = None) -> str:
    """WebVTT subtitles (https://www.w3.org/TR/webvtt1/)."""

    def safe(text: str) -> str:
        return text.replace("-->", "->").replace("&", "&amp;").replace("<", "&lt;")

    return "WEBVTT\n" + "".join(
        f"\n{clock(start, '.')} --> {clock(end, '.')}\n{f'<v {channel}>' if channel else ''}{text}\n"
        for start, end, text, channel in _shown(transcript, settings, safe)
    )


def segmented(transcript: Transcript, settings: SubtitleSettings | None = None) -> Transcript:
    """The transcript with a segment a cue, for players that show segments; only where words have times."""
    if not transcript.words:
        return transcript
    segments = []
    for cue in cues(transcript, settings):
        words = tuple(word for line in cue.lines for word in line)
        whole = min(transcript.segments, key=lambda s: max(s.start - words[0].start, words[0].start - s.end, 0.0))
        segments.append(replace(
            whole, start=cue.start, end=cue.end, text=cue.text.replace("\n", " "), words=words, tokens=(),
            log_probs=(), confidence=None,
        ))  # fmt: skip
    return replace(transcript, segments=tuple(segments))


def _shown(
    transcript: Transcript, settings: SubtitleSettings | None, safe: Callable[[str], str]
) -> Iterator[tuple[float, float, str, str]]:
    """Start, end, text and channel of what is shown: every cue, or with highlighted words a state of it a word."""
    for cue in cues(transcript, settings):
        if settings is None or not settings.highlight_words:
            yield cue.start, cue.end, safe(cue.text), cue.channel
            continue
        words = [word for line in cue.lines for word in line]
        borders = [cue.start, *(min(max(w.start, cue.start), cue.end) for w in words[1:]), cue.end]
        for k, (start, end) in enumerate(itertools.pairwise(borders)):
            if end > start:
                yield start, end, _marked(cue, k, safe), cue.channel


def _marked(cue: Cue, marked: int, safe: Callable[[str], str]) -> str:
    """A cue's text with one word underlined."""
    numbers = itertools.count()
    lines = []
    for line, gaps in zip(cue.lines, cue.gaps, strict=True):
        parts = [
            safe(gap) + (f"<u>{safe(word.text)}</u>" if next(numbers) == marked else safe(word.text))
            for gap, word in zip(gaps, line, strict=True)
        ]
        lines.append("".join(parts).strip())
    return "\n".join(lines)


def _limit(text: str, settings: SubtitleSettings) -> int:
    """Columns a line: of text in wide characters twice the characters."""
    letters = [c for c in text if c.isalnum()]
    wide = 2 * sum(unicodedata.east_asian_width(c) in "WF" for c in letters) > len(letters)
    return 2 * (settings.max_line_width or WIDE_LINE) if wide else settings.max_line_width or LINE


def _units(segment: Segment, limit: int, first: bool, joined: bool) -> list[_Unit]:
    """The words of a segment with what its text has between them; a word wider than a line in pieces. `joined`:
    characters of Chinese as its words."""
    words = unbroken(_as_written(segment))
    if joined:
        words = whole_words(words)
    units: list[_Unit] = []
    at = 0
    for word in words:
        at_word = segment.text.find(word.text, at)
        gap = segment.text[at:at_word] if at_word >= 0 else "" if wide(word.text[:1]) else " "
        at = at_word + len(word.text) if at_word >= 0 else at
        if not units and not first:
            gap = " " if not wide(word.text[:1]) else ""
        for k, piece in enumerate(pieces(word.text, limit)):
            units.append(_Unit(replace(word, text=piece), "" if k else gap, columns(piece)))
    return units


def _as_written(segment: Segment) -> Sequence[Word]:
    """The segment's words as its text has them, which may have been corrected since they got their times."""
    text = "".join(segment.text.split())
    spoken = "".join("".join(word.text for word in segment.words).split())
    if spoken == text:
        return segment.words
    parts = _parts(segment.text)
    if len(parts) == len(segment.words):
        return [replace(word, text=part) for word, part in zip(segment.words, parts, strict=True)]
    return _spread(segment)


def _parts(text: str) -> list[str]:
    """The words of a text; of text without spaces, its characters with their punctuation."""
    parts = text.split()
    if sum(map(wide, text)) * 2 > len(text):
        parts = [c for part in parts for c in re.findall(r"\w[^\w]*|[^\w]+", part)]
    return parts


def _spread(segment: Segment) -> tuple[Word, ...]:
    """Words over the segment's time by their length; of text without spaces, its characters."""
    parts = _parts(segment.text)
    total = sum(map(len, parts)) or 1
    words, done = [], 0
    step = (segment.end - segment.start) / total
    for part in parts:
        start = segment.start + done * step
        done += len(part)
        words.append(Word(part, round(start, 3), round(segment.start + done * step, 3), segment.confidence or 0.0))
    return tuple(words)


def _lines(units: Sequence[_Unit], limit: int, settings: SubtitleSettings) -> list[list[_Unit]] | None:
    """The units in as few lines as they need, as even as can be; None: they need more than are allowed."""
    count = len(_wrapped(units, limit, settings))
    if count > settings.max_line_count:
        return None
    for width in range(max(u.width for u in units), limit + 1):
        lines = _wrapped(units, width, settings)
        if len(lines) <= count:
            return lines
    return _wrapped(units, limit, settings)


def _wrapped(units: Sequence[_Unit], width: int, settings: SubtitleSettings) -> list[list[_Unit]]:
    """Each line as full as `width` columns and the words a line allow."""
    lines: list[list[_Unit]] = []
    room = words = 0
    for unit in units:
        needed = columns(unit.gap) + unit.width
        if not lines or needed > room or (settings.max_words_per_line and words >= settings.max_words_per_line):
            lines.append([])
            room, needed, words = width, unit.width, 0
        lines[-1].append(unit)
        room -= needed
        words += 1
    return lines


def _divided(units: Sequence[_Unit], limit: int, settings: SubtitleSettings) -> list[list[_Unit]]:
    """The division into cues that costs least (dynamic programming over the words)."""
    cost, back = [0.0], [0]
    for j in range(1, len(units) + 1):
        best, source = float("inf"), j - 1
        for i in range(j - 1, -1, -1):
            part = units[i:j]
            if i < j - 1:
                if units[i + 1].word.start - units[i].word.end > BREAK:
                    break
                if part[-1].word.end - part[0].word.start > settings.max_cue_seconds:
                    break
                if _lines(part, limit, settings) is None:
                    break
            total = cost[i] + _cost(part, units[j].word if j < len(units) else None, settings)
            if total < best:
                best, source = total, i
        cost.append(best)
        back.append(source)
    parts: list[list[_Unit]] = []
    j = len(units)
    while j:
        parts.append(list(units[back[j] : j]))
        j = back[j]
    return parts[::-1]


def _cost(part: Sequence[_Unit], after: Word | None, settings: SubtitleSettings) -> float:
    """How ill a cue reads: where it ends, what it runs over, and whether there is time to read it."""
    last = part[-1].word
    pause = after.start - last.end if after is not None else BREAK
    ends = 0.0 if SENTENCE.search(last.text) or after is None else 0.4 if CLAUSE.search(last.text) else 1.5
    total = 1.0 + (min(ends, 0.7) if pause >= PAUSE else ends)
    total += sum(1.2 for u in part[:-1] if SENTENCE.search(u.word.text))
    total += sum(max(0.0, b.word.start - a.word.end - PAUSE) for a, b in itertools.pairwise(part))
    shown = max(0.1, last.end + min(max(pause, 0.0), settings.min_cue_seconds) - part[0].word.start)
    letters = sum(len(u.word.text) + len(u.gap) for u in part)
    total += max(0.0, settings.min_cue_seconds - shown)
    return total + 0.5 * max(0.0, letters / shown / settings.reading_speed - 1)


def _timed(parts: Sequence[Sequence[Word]], duration: float, settings: SubtitleSettings) -> list[tuple[float, float]]:
    """Start and end of each cue: those of its words, longer where reading takes longer and there is room."""
    times: list[tuple[float, float]] = []
    for k, part in enumerate(parts):
        start = max(part[0].start, times[-1][1] if times else 0.0)
        after = max(parts[k + 1][0].start, start) if k + 1 < len(parts) else max(duration, part[-1].end)
        letters = sum(len(word.text) + 1 for word in part)
        wanted = max(part[-1].end, start + settings.min_cue_seconds, start + letters / settings.reading_speed)
        end = min(max(min(wanted, after), start + SHORTEST_CUE), start + settings.max_cue_seconds)
        times.append((round(start, 3), round(end, 3)))
    return times


WRITERS: dict[str, Callable[[Transcript, SubtitleSettings], str]] = {
    "txt": lambda transcript, _: as_txt(transcript),
    "json": lambda transcript, _: as_json(transcript),
    "srt": as_srt,
    "vtt": as_vtt,
}
TIMED = ("srt", "vtt")  # formats that need every word's time
