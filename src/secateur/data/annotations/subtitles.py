"""SubRip (.srt), WebVTT (.vtt) and YouTube's (.sbv) subtitles."""

from __future__ import annotations

import re

from ...text.clean import decoded_entities
from ..times import CLOCK, seconds_of
from .span import TimedText

TIMES = re.compile(rf"^\s*({CLOCK})\s*(?:-->|,)\s*({CLOCK})(.*)$")
DASH = re.compile(r"^[-\u2010-\u2015]\s*(?=\w|[\"'\u201c\u00bf\u00a1])")  # another speaker's turn
TAG = re.compile(r"<[^<>]*>|\{\\[^{}]*\}")
VOICE = re.compile(r"<v(?:\.[\w.]*)?\s+([^<>]+)>")
# The cues of automatic captions carry times of single words, and repeat the line before.
ROLLING = re.compile(rf"<{CLOCK}>")


def read_subtitles(text: str) -> list[TimedText]:
    """The cues of subtitles: numbers, names, notes, styles and tags are not text; what rolls counts once."""
    cues: list[TimedText] = []
    rolling = bool(ROLLING.search(text))
    last = ""
    for block in _blocks(text):
        match = TIMES.match(block[0])
        if match is None:
            continue
        start, end = seconds_of(match[1]), seconds_of(match[2])
        lines = [line for line in block[1:] if line.strip()]
        voice = VOICE.search(" ".join(lines))
        clean = [DASH.sub("", decoded_entities(TAG.sub("", line)).strip()) for line in lines]
        if rolling:
            clean = clean[1:] if clean and clean[0] == last else clean
            last = clean[-1] if clean and clean[-1] else last
        words = " ".join(part for part in clean if part)
        if words and start is not None and end is not None:
            cues.append(TimedText(start, end, words, voice[1].strip() if voice else ""))
    return cues


def _blocks(text: str) -> list[list[str]]:
    """Each line of times with the lines below it; some writers leave no blank line between cues, or one inside."""
    blocks: list[list[str]] = []
    open_block = False
    for line in text.split("\n"):
        if TIMES.match(line):
            if blocks and open_block and len(blocks[-1]) > 1 and blocks[-1][-1].strip().isdecimal():
                blocks[-1].pop()  # the number of this cue, right below the last one
            blocks.append([line])
            open_block = True
        elif not line.strip():
            open_block = False
        elif open_block:
            blocks[-1].append(line)
    return blocks
