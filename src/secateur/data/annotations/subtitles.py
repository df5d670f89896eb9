"""SubRip (.srt), WebVTT (.vtt) and YouTube's (.sbv) subtitles."""

from __future__ import annotations

import re

from ...text.clean import decoded_entities
from ..times import CLOCK, seconds_of
from .span import TimedText, with_named_speakers

TIMES = re.compile(rf"^\s*({CLOCK})\s*(?:-->|,)\s*({CLOCK})(.*)$")
DASH = re.compile(r"^(?:>>+|[-\u2010-\u2015])\s*(?=\w|[\"'\u201c\u00bf\u00a1])")  # another speaker's turn
# Sounds, for those who do not hear them: (laughs), and notes beside what is sung.
SOUND = re.compile(r"\([^()\d]{2,40}\)|\uff08[^\uff08\uff09\d]{1,20}\uff09|[\u2669-\u266c]+")
TAG = re.compile(r"<[^<>]*>|\{\\[^{}]*\}")
VOICE = re.compile(r"<v(?:\.[\w.]*)?\s+([^<>]+)>")
BEFORE_MARK = re.compile(r"\s*\x00(?=[.,;:!?])")
# The cues of automatic captions carry times of single words, and repeat the line before.
ROLLING = re.compile(rf"<{CLOCK}>")


def read_subtitles(text: str) -> list[TimedText]:
    """The cues of subtitles: numbers, names, notes, styles, sounds and tags are not text; what rolls counts once.

    A cue in which several speak has no speaker.
    """
    cues: list[TimedText] = []
    rolling = bool(ROLLING.search(text))
    last = ""
    for block in _blocks(text):
        match = TIMES.match(block[0])
        if match is None:
            continue
        start, end = seconds_of(match[1]), seconds_of(match[2])
        lines = [line for line in block[1:] if line.strip()]
        voices = {voice.strip() for voice in VOICE.findall(" ".join(lines))}
        clean = [DASH.sub("", _spoken(line)) for line in lines]
        if rolling:
            clean = clean[1:] if clean and clean[0] == last else clean
            last = clean[-1] if clean and clean[-1] else last
        words = "\n".join(part for part in clean if part)
        if words and start is not None and end is not None:
            cues.append(TimedText(start, end, words, voices.pop() if len(voices) == 1 else ""))
    return with_named_speakers(cues)


def _spoken(line: str) -> str:
    plain = decoded_entities(TAG.sub("", line))
    return " ".join(BEFORE_MARK.sub("", SOUND.sub("\x00", plain)).replace("\x00", " ").split())


def notes_on(text: str) -> list[str]:
    """What reading these subtitles leaves out, or cannot tell."""
    notes = []
    if sounds := list(dict.fromkeys(match[0] for match in SOUND.finditer(decoded_entities(TAG.sub("", text))))):
        notes.append(f"{len(sounds)} sounds are not taken for text: {' '.join(sounds[:4])}")
    several = [voices for block in _blocks(text) if len(voices := set(VOICE.findall(" ".join(block)))) > 1]
    if several:
        notes.append(
            f"{len(several)} cues in which several speak have no speaker, first {', '.join(sorted(several[0]))}"
        )
    return notes


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
