"""Writers of transcripts."""

from __future__ import annotations

import json

from secateur.base.options import from_dict
from secateur.decode.segments import Segment, Transcript, as_json, as_txt, clock
from secateur.runtime.subtitles import as_srt, as_vtt

TRANSCRIPT = Transcript(
    text="Good morning. 1 < 2 --> true",
    language="en",
    segments=(
        Segment(0.0, 1.5, "Good morning.", -0.2, 0.01, (3, 4)),
        Segment(3661.25, 3662.9996, "1 < 2 --> true", -0.3, None, (5,)),
    ),
    duration=3663.0,
)


def test_txt_is_the_text() -> None:
    assert as_txt(TRANSCRIPT) == "Good morning. 1 < 2 --> true\n"


def test_json_comes_back_as_the_same_transcript() -> None:
    assert from_dict(Transcript, json.loads(as_json(TRANSCRIPT))) == TRANSCRIPT


def test_srt() -> None:
    assert as_srt(TRANSCRIPT) == (
        "1\n00:00:00,000 --> 00:00:01,500\nGood morning.\n\n2\n01:01:01,250 --> 01:01:03,000\n1 < 2 -> true\n"
    )


def test_vtt() -> None:
    assert as_vtt(TRANSCRIPT) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nGood morning.\n\n01:01:01.250 --> 01:01:03.000\n1 &lt; 2 -> true\n"
    )


def test_nothing_said_is_still_a_valid_file() -> None:
    empty = Transcript("", None, (), 2.0)
    assert (as_txt(empty), as_srt(empty), as_vtt(empty)) == ("\n", "", "WEBVTT\n")


def test_clock_rounds_to_the_next_minute() -> None:
    assert clock(59.9999, ",") == "00:01:00,000"
