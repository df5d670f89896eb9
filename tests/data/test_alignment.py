"""Words of a transcript and recognised words: which is which, what is left out, where to cut."""

from __future__ import annotations

import random

import numpy as np
import pytest

from secateur.data.alignment import cut as cutting
from secateur.data.alignment.cut import Cut, CutSettings, time_words
from secateur.data.alignment.match import match
from secateur.data.alignment.pauses import Pauses
from secateur.data.alignment.verify import verify
from secateur.data.alignment.words import RecognisedWord, recognised_words, text_words

TEXT = "the quick brown fox jumps over the lazy dog while seven wizards brew a potion behind the old stone mill"


def heard(words: list[str], seconds: float = 0.4) -> list[RecognisedWord]:
    return [RecognisedWord(w, i * seconds, (i + 1) * seconds) for i, w in enumerate(words)]


def test_passages_that_one_side_lacks_do_not_pull_the_rest_out_of_place() -> None:
    draw = random.Random(0)
    words = [f"w{draw.randrange(400)}" for _ in range(4000)]  # large enough for anchors
    spoken = words[:1500] + [f"x{i}" for i in range(200)] + words[1500:2500] + words[2900:]
    place = {**{i: i for i in range(1500)}, **{i: i + 200 for i in range(1500, 2500)},
             **{i: i - 200 for i in range(2900, 4000)}}  # fmt: skip
    pairs = dict(match(words, spoken))
    right = sum(pairs.get(r) == h for r, h in place.items())
    assert right > 0.99 * len(place)
    assert all(a < b and pairs[a] < pairs[b] for a, b in zip(sorted(pairs), sorted(pairs)[1:], strict=False))


def test_words_written_together_or_apart_are_found() -> None:
    text = text_words("he climbed to the mast head of the French ship at once", "en")
    said = "he climbed to the masthead of the friend ship at once"
    timed = time_words(text, heard(said.split()))
    assert not timed.breaks
    assert all(w is not None for w in timed.words)
    mast, head = timed.words[4], timed.words[5]
    assert mast is not None
    assert head is not None
    assert (mast.start, head.end) == pytest.approx((1.6, 2.0))
    assert mast.end == pytest.approx(head.start)
    assert mast.likeness == head.likeness == 1.0


def test_what_nobody_speaks_is_not_timed() -> None:
    heading = "(Chapter two: an entirely unrelated heading, please ignore it.) while"
    text = text_words(TEXT.replace("while", heading), "en")
    timed = time_words(text, heard(TEXT.split()))
    lost = [text[i].key for i, w in enumerate(timed.words) if w is None]
    assert lost == ["chapter", "two", "an", "entirely", "unrelated", "heading", "please", "ignore", "it"]


def test_what_the_text_lacks_breaks_it() -> None:
    words = TEXT.split()
    spoken = [*words[:9], *["and", "now", "for", "something", "completely", "different"], *words[9:]]
    timed = time_words(text_words(TEXT, "en"), heard(spoken))
    assert timed.breaks == {9}


def test_punctuation_stays_with_its_word_and_characters_stand_alone() -> None:
    text = "«Oui», dit-il — non !"
    assert [text[w.start : w.end] for w in text_words(text, "fr")] == ["«Oui»,", "dit-il —", "non !"]
    chinese = "今天天气,很好 OK。"
    found = [chinese[w.start : w.end] for w in text_words(chinese, "zh")]
    assert found == ["今", "天", "天", "气,", "很", "好", "OK。"]
    assert [w.key for w in recognised_words([("今天", 0.0, 1.0), ("OK", 1.0, 2.0)], "zh")] == ["今", "天", "ok"]


def test_utterances_end_in_pauses() -> None:
    rate, times, audio = 16000, [], []
    noise = np.random.default_rng(0)
    at = 0.0
    for i in range(40):
        audio.append(noise.normal(0, 0.1, round(0.3 * rate)))
        times.append((at, at + 0.3))
        at += 0.3
        gap = 0.5 if i % 10 == 9 else 0.02
        audio.append(noise.normal(0, 1e-4, round(gap * rate)))
        at += gap
    words = [f"word{chr(97 + i % 26)}{chr(97 + i // 26)}" for i in range(40)]
    spoken = [RecognisedWord(w, a, b) for w, (a, b) in zip(words, times, strict=True)]
    timed = time_words(text_words(" ".join(words), "en"), spoken)
    cuts, reasons = cutting.cut(timed, Pauses(np.concatenate(audio), rate), CutSettings(2.0, 5.0))
    assert [(c.first, c.after) for c in cuts] == [(0, 10), (10, 20), (20, 30), (30, 40)]
    assert not reasons
    for c in cuts:
        first, last = times[c.first], times[c.after - 1]
        assert first[0] - 0.3 <= c.start <= first[0]
        assert last[1] <= c.end <= last[1] + 0.3


def test_a_word_on_the_wrong_side_of_a_pause_changes_sides() -> None:
    text = text_words("good morning everyone said the man you are very welcome here today", "en")
    wrong = [Cut(0, 8, 0.0, 3.0, 0.9), Cut(8, 12, 3.0, 6.0, 0.9)]
    kept, reasons = verify(wrong, ["goodmorningeveryonesaidtheman", "youareverywelcomeheretoday"], text)
    assert [(c.first, c.after, c.score) for c in kept] == [(0, 6, 1.0), (6, 12, 1.0)]
    assert not reasons
    kept, reasons = verify([Cut(0, 6, 0.0, 3.0, 0.9)], ["goodmorningeveryonethunderstorm"], text)
    assert not kept
    assert set(range(6)) <= set(reasons)
