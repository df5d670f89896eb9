"""Cues that can be read: width, lines, length, order, places of breaks."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from speech_clips import clips

from secateur.base.locale import columns
from secateur.decode.options import DecodingOptions
from secateur.decode.segments import Segment, Transcript, Word
from secateur.runtime.recogniser import Recogniser
from secateur.runtime.subtitles import Cue, SubtitleSettings, as_srt, as_vtt, cues, segmented

ENGLISH = (
    "When the train stopped, nobody got off. A man in a grey coat, who had slept since Hamburg, opened one eye and "
    "looked at the platform; it was raining there as well. He said nothing, and so did we, until the conductor came."
)
CHINESE = "今天早上我去市场买了一些新鲜的水果和蔬菜，然后回家给全家人做了一顿丰盛的午饭，大家都说很好吃。"


def spoken(text: str, pace: float = 0.3, pauses: dict[int, float] | None = None, unspaced: bool = False) -> Transcript:
    """A transcript whose words follow each other, some with a pause before them."""
    words, at = [], 0.2
    parts = list(text) if unspaced else text.split()
    if unspaced:  # punctuation belongs to the character before
        parts = [a + b if not b.isalnum() else a for a, b in itertools.pairwise([*parts, "x"]) if a.isalnum()]
    for i, part in enumerate(parts):
        at += (pauses or {}).get(i, 0.0)
        words.append(Word(part, round(at, 3), round(at + 0.9 * pace, 3), 0.9))
        at += pace
    segment = Segment(words[0].start, words[-1].end, text, -0.2, None, (1,), words=tuple(words))
    return Transcript(text, "zh" if unspaced else "en", (segment,), at + 1)


def check(found: list[Cue], settings: SubtitleSettings, width: int) -> None:
    for cue in found:
        lines = cue.text.split("\n")
        assert 1 <= len(lines) <= settings.max_line_count
        assert all(0 < columns(line) <= width for line in lines), cue.text
        assert 0 < cue.end - cue.start <= settings.max_cue_seconds + 1e-6
    assert all(a.end <= b.start + 1e-6 for a, b in itertools.pairwise(found))


def said(found: list[Cue], joiner: str = " ") -> str:
    return joiner.join(cue.text.replace("\n", joiner) for cue in found)


@pytest.mark.parametrize("pace", [0.12, 0.3, 0.8, 2.5])
@pytest.mark.parametrize("settings", [
    SubtitleSettings(), SubtitleSettings(max_line_width=20, max_line_count=3), SubtitleSettings(max_line_width=12),
    SubtitleSettings(max_line_count=1), SubtitleSettings(max_words_per_line=3), SubtitleSettings(max_cue_seconds=2),
])  # fmt: skip
def test_every_word_once_within_all_limits(pace: float, settings: SubtitleSettings) -> None:
    transcript = spoken(ENGLISH, pace, {9: 4.0})
    found = cues(transcript, settings)
    check(found, settings, settings.max_line_width or 42)
    assert said(found) == ENGLISH
    if settings.max_words_per_line:
        assert max(len(line) for cue in found for line in cue.lines) <= 3


def test_cues_end_with_sentences_and_at_pauses() -> None:
    found = cues(spoken(ENGLISH, 0.3, {14: 2.0}))
    assert found[0].text.replace("\n", " ") == "When the train stopped, nobody got off."
    assert not [cue for cue in found if cue.start < 0.2 + 13 * 0.3 and cue.end > 0.2 + 14 * 0.3 + 1.9]
    assert sum(cue.text[-1] in ".,;" for cue in found) >= 0.6 * len(found)


def test_short_words_stay_long_enough_to_read_where_there_is_room() -> None:
    found = cues(spoken("Yes. No.", 0.2, {1: 5.0}))
    assert [cue.text for cue in found] == ["Yes.", "No."]
    assert all(cue.end - cue.start >= 1.0 for cue in found)


def test_chinese_lines_are_counted_in_characters() -> None:
    found = cues(spoken(CHINESE, 0.2, unspaced=True))
    check(found, SubtitleSettings(), 36)
    assert said(found, "") == CHINESE
    narrow = SubtitleSettings(max_line_width=8)
    check(cues(spoken(CHINESE, 0.2, unspaced=True), narrow), narrow, 16)


def test_a_word_longer_than_a_line_is_divided() -> None:
    found = cues(spoken("see https://example.org/" + 60 * "a" + " there"))
    check(found, SubtitleSettings(), 42)
    assert said(found, "").replace(" ", "").endswith(10 * "a" + "there")


def test_text_without_word_times_shares_its_time() -> None:
    text = ENGLISH
    bare = Transcript(text, "en", (Segment(0.0, 20.0, text, -0.2, None, ()),), 20.0)
    found = cues(bare)
    check(found, SubtitleSettings(), 42)
    assert said(found) == text
    assert found[-1].end == pytest.approx(20.0)


def test_corrected_text_is_what_is_shown() -> None:
    words = tuple(Word(c, i * 0.2, i * 0.2 + 0.2, 1.0) for i, c in enumerate("佳入"))
    transcript = Transcript("加入", "zh", (Segment(0, 0.4, "加入", -0.1, None, (), words=words),), 1.0)
    assert [cue.text for cue in cues(transcript)] == ["加入"]


def test_highlighted_words_follow_each_other() -> None:
    settings = SubtitleSettings(highlight_words=True)
    shown = as_srt(spoken("one two three"), settings).split("\n\n")
    assert [block.split("\n")[2] for block in shown] == ["<u>one</u> two three", "one <u>two</u> three",
                                                          "one two <u>three</u>"]  # fmt: skip
    times = [block.split("\n")[1].split(" --> ") for block in shown]
    assert all(a[1] == b[0] for a, b in itertools.pairwise(times))


def test_two_channels_are_cut_each_by_itself() -> None:
    left, right = (Segment(0, 1, t, -0.1, None, (), words=(Word(t, s, s + 0.5, 1.0),), channel=c)
                   for t, s, c in (("Hello.", 0.1, "left"), ("Hi.", 0.3, "right")))  # fmt: skip
    transcript = Transcript("left: Hello.\nright: Hi.", "en", (left, right), 2.0)
    assert "left: Hello." in as_srt(transcript)
    assert "<v right>Hi." in as_vtt(transcript)


def test_real_speech(speech: Path) -> None:
    recogniser = Recogniser.load(threads=1)
    audio = np.concatenate([a for a, _ in clips(speech, "librispeech-mini", 40, "dev")[:2]])
    transcript = recogniser.transcribe(audio, DecodingOptions(word_times=True))
    found = cues(transcript)
    check(found, SubtitleSettings(), 42)
    assert said(found).split() == transcript.text.split()
    assert found[-1].end <= transcript.duration + 1e-6
    assert segmented(transcript).text == transcript.text
    assert len(segmented(transcript).segments) == len(found)


SPOKEN_ZH = (
    "他说：“我们今天要去北京大学参观，然后再去《人民日报》社看看（如果还有时间的话）。”"
    "大家都很高兴，因为很久没有出门了，天气也特别好！你觉得怎么样？"
)


@pytest.mark.parametrize("width", [None, 6, 8, 12])
@pytest.mark.parametrize("cut", ["characters", "marks apart", "whole"])
def test_no_line_of_chinese_begins_with_a_closing_mark(width: int | None, cut: str) -> None:
    parts = {"characters": list(SPOKEN_ZH), "marks apart": re.findall(r"\w+|\W", SPOKEN_ZH), "whole": [SPOKEN_ZH]}[cut]
    words, at = [], 0.0
    for part in parts:
        words.append(Word(part, at, at + 0.2 * len(part), 0.9))
        at = words[-1].end
    found = Transcript(SPOKEN_ZH, "zh", (Segment(0.0, at, SPOKEN_ZH, -0.1, None, (), words=tuple(words)),), at)
    shown = cues(found, SubtitleSettings(max_line_width=width))
    lines = [line for cue in shown for line in cue.text.split("\n")]
    assert "".join(lines) == SPOKEN_ZH
    assert not [line for line in lines if line[0] in "，。、；：？！）》”" or line[-1] in "（《“"]
    assert max(map(columns, lines)) <= 2 * (width or 18)


def test_no_line_of_chinese_breaks_inside_a_word() -> None:
    jieba = pytest.importorskip("jieba")
    text = "中华人民共和国成立以后我们的国家发生了翻天覆地的变化人民生活水平不断提高"
    found = cues(spoken(text, 0.2, unspaced=True), SubtitleSettings(max_line_width=10))
    lines = [line for cue in found for line in cue.text.split("\n")]
    assert "".join(lines) == text and max(map(columns, lines)) <= 20
    ends = set(itertools.accumulate(map(len, jieba.cut(text))))
    assert {*itertools.accumulate(map(len, lines))} <= ends
    assert all(a.end <= b.start + 1e-9 for a, b in itertools.pairwise(found))
