"""Annotations of one line each: Audacity labels, CTM, STM, and transcripts with times at the beginning of lines."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace

from ..times import CLOCK, ChannelNames, seconds_of
from .span import TimedText

NUMBER = r"[+-]?\d+(?:[.,]\d+)?"
LABEL = re.compile(rf"^({NUMBER})\t({NUMBER})(?:\t(.*))?$")
SPACED = re.compile(r"^(\d+[.,]\d+)[ \t]+(\d+[.,]\d+)[ \t]+(\D.*)$")
ARROW = re.compile(rf"^\[?\s*({CLOCK}|\d+\.\d+s?)\s*(?:-+>|–|-)\s*({CLOCK}|\d+\.\d+s?)\s*\]?:?\s+(.+)$")
IGNORED = "ignore_time_segment_in_scoring"
PRONUNCIATION = re.compile(r"(?<=[^\W\d_])\(\d{1,2}\)(?=\s|$)")
CLITIC = re.compile(r"(?<=[^\W\d_])\s+(?=['’](?:s|t|re|ve|ll|d|m)(?:\s|$))", re.IGNORECASE)


def read_labels(text: str) -> list[TimedText] | None:
    """The labels of a text, see `labels_and_others`; None when it is nothing of the kind."""
    read = labels_and_others(text)
    return None if read is None else read[0]


def labels_and_others(text: str) -> tuple[list[TimedText], list[str]] | None:
    """Labels as Audacity exports them (start, end and text set apart by tabs; lines with a backslash hold frequencies),
    or lines such as `0.00 2.50 text` and `[00:00.000 --> 00:02.500] text`, and the few lines that are none.
    """
    numbered = [(n, line.rstrip()) for n, line in enumerate(text.split("\n"), 1) if line.strip() and line[0] != "\\"]
    for pattern in (LABEL, SPACED, ARROW):
        matches = [pattern.match(line.strip(" ")) for _, line in numbered]
        good = [m for m in matches if m is not None]
        if good and len(good) >= 0.9 * len(numbered):
            spans = []
            for match in good:
                start, end = seconds_of(match[1]), seconds_of(match[2])
                if start is not None and end is not None:
                    spans.append(TimedText(start, end, (match[3] or "").strip()))
            if all(span.end >= span.start for span in spans):
                return spans, [f"line {n}" for (n, _), m in zip(numbered, matches, strict=True) if m is None]
    return None


def read_segments(text: str) -> list[TimedText] | None:
    """The segments of a JSON object as Whisper and its kin write it; None when it has none."""
    try:
        value = json.loads(text)
        return [
            TimedText(float(s["start"]), float(s["end"]), str(s["text"]).strip(), str(s.get("speaker") or ""))
            for s in value["segments"]
        ]
    except (ValueError, TypeError, KeyError, RecursionError, AttributeError):
        return None


def read_ctm(text: str) -> tuple[list[TimedText], list[str]]:
    """Words of a NIST CTM (`RECORDING CHANNEL START LENGTH WORD [CONFIDENCE]`), and the lines that are none."""
    words, odd, channels = [], [], []
    for number, line in _lines(text):
        parts = line.split()
        start, length = (seconds_of(p) for p in (parts[2:4] if len(parts) >= 5 else ("", "")))
        if start is None or length is None:
            if not (len(parts) >= 5 and parts[2] == parts[3] == "*"):  # <ALT> and its kind
                odd.append(f"line {number}")
            continue
        words.append(TimedText(start, start + length, parts[4], "", parts[0]))
        channels.append(parts[1])
    return _with_channels(words, channels), odd


def read_stm(text: str) -> tuple[list[TimedText], list[str]]:
    """Segments of a NIST STM (`RECORDING CHANNEL SPEAKER START END [<LABEL>] TEXT`), and the lines that are none.

    As TED-LIUM writes them, `it 's` is one word, and `good(2)` is `good` in its second pronunciation.
    """
    segments, odd, channels = [], [], []
    for number, line in _lines(text):
        parts = line.split(maxsplit=5)
        start, end = (seconds_of(p) for p in (parts[3:5] if len(parts) >= 5 else ("", "")))
        if start is None or end is None:
            odd.append(f"line {number}")
            continue
        words = re.sub(r"^<[^<>\s]*>\s*", "", parts[5]) if len(parts) > 5 else ""
        words = CLITIC.sub("", PRONUNCIATION.sub("", words))
        if words.strip().lower() != IGNORED:
            speaker = "" if parts[2].lower() in ("unknown", "inter_segment_gap") else parts[2]
            segments.append(TimedText(start, end, words.strip(), speaker, parts[0]))
            channels.append(parts[1])
    return _with_channels(segments, channels), odd


def _with_channels(spans: Sequence[TimedText], channels: Sequence[str]) -> list[TimedText]:
    """The spans with the channels that a file of NIST names; it counts from 1, many write 0."""
    names = ChannelNames(channels, first=0)
    return [replace(span, channel=names.index(name)) for span, name in zip(spans, channels, strict=True)]


def _lines(text: str) -> list[tuple[int, str]]:
    """Numbered lines without the comments of NIST's tools."""
    return [
        (number, line.strip())
        for number, line in enumerate(text.split("\n"), 1)
        if line.strip() and not line.lstrip().startswith((";;", "#"))
    ]
