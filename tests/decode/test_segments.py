"""Timestamps to segments as the Whisper reference does it, and cuts at quiet places."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secateur.decode.segments import Segment, Word, divided, next_cut, quiet_cuts, split
from secateur.text.tokens import Tokens

TOKENS = Tokens(start=21, end=20, no_timestamps=23, timestamps=24, timestamp_count=1501)
RATE = 16000


def at(seconds: float) -> int:
    return 24 + round(seconds / 0.02)


def test_pairs_of_timestamps_separate_segments_and_the_rest_is_heard_again() -> None:
    ids = [at(0), 1, 2, at(4), at(4.5), 3, at(9), at(9), 7, 8]
    segments, following = split(ids, TOKENS, 30.0)
    assert [(s, e) for s, e, _ in segments] == [(0.0, 4.0), (4.5, 9.0)]
    assert [i for _, _, piece in segments for i in piece if i < 20] == [1, 2, 3]  # 7, 8 belong to the next window
    assert following == pytest.approx(9.0)


def test_a_single_timestamp_at_the_end_closes_the_window() -> None:
    segments, following = split([at(0), 1, at(4), at(4), 2, at(20)], TOKENS, 30.0)
    assert [(s, e) for s, e, _ in segments] == [(0.0, 4.0), (4.0, 20.0)]
    assert following == 30.0


def test_a_window_that_no_timestamp_closes_ends_with_its_sound_not_where_it_begins() -> None:
    assert split([at(0.18), 1, 2], TOKENS, 30.0) == ([(pytest.approx(0.18), 30.0, [at(0.18), 1, 2])], 30.0)
    assert split([at(14), 1, 2], TOKENS, 12.5) == ([(0.0, 12.5, [at(14), 1, 2])], 12.5)  # begins after the audio


def test_one_segment_ends_at_its_timestamp_or_with_the_window() -> None:
    assert split([at(0), 1, 2, at(3.2)], TOKENS, 12.5)[0] == [(0.0, pytest.approx(3.2), [at(0), 1, 2, at(3.2)])]
    assert split([at(0), 1, 2], TOKENS, 12.5) == ([(0.0, 12.5, [at(0), 1, 2])], 12.5)
    assert split([at(0), 1, at(13.0)], TOKENS, 12.5)[0][0][1] == 12.5  # not beyond the audio


def test_a_segment_ends_where_its_words_pause_and_keeps_every_token() -> None:
    words = tuple(
        Word(t, a, b, 0.5) for t, a, b in (("a", 0.4, 0.6), ("b", 0.7, 1.0), ("c", 3.0, 3.5), ("d", 5.0, 6.0))
    )
    ids = (at(0), 1, 2, 3, 4, 5, at(7))  # the third word has two tokens
    segment = Segment(0.4, 6.2, "a b cc d", -0.1, 0.0, ids, tuple(-0.1 * i for i in range(7)), words=words)
    silences = [(0.0, 0.35), (1.02, 2.98), (3.6, 5.1), (6.3, 8.0)]  # the last word begins before its sound
    parts = divided(
        segment, [1, 2, 3, 5], lambda tokens: "".join("abccd"[i - 1] for i in tokens if 0 < i < 6), silences
    )
    assert [(p.start, p.end, p.text) for p in parts] == [(0.4, 1.0, "ab"), (3.0, 3.5, "cc"), (5.0, 6.2, "d")]
    assert sum((p.tokens for p in parts), ()) == ids
    assert sum((p.log_probs for p in parts), ()) == segment.log_probs
    assert sum((p.words for p in parts), ()) == words
    assert divided(segment, [1, 2, 3, 5], str, [(0.0, 0.35), (6.3, 8.0)]) == [segment]


@given(st.lists(st.integers(0, 19) | st.integers(24, 1524), max_size=20))
def test_any_output_moves_on(ids: list[int]) -> None:
    segments, following = split(ids, TOKENS, 30.0)
    assert following > 0
    assert segments


def test_cuts_fall_into_the_pauses() -> None:
    random = np.random.default_rng(0)
    audio = 0.3 * random.standard_normal(70 * RATE).astype(np.float32)
    pauses = [25.0, 47.0]
    for pause in pauses:
        audio[round(pause * RATE) : round((pause + 0.4) * RATE)] *= 0.01
    pieces = quiet_cuts(audio, 30 * RATE, RATE)
    ends = [end / RATE for _, end in pieces]
    assert len(pieces) == 3
    for end, pause in zip(ends, pauses, strict=False):
        assert pause < end < pause + 0.4


@given(st.integers(1, 400_000), st.integers(16_000, 100_000))
def test_pieces_cover_everything_and_none_is_too_long(length: int, longest: int) -> None:
    audio = np.zeros(length, np.float32)
    pieces = quiet_cuts(audio, longest, RATE)
    assert pieces[0][0] == 0
    assert pieces[-1][1] == length
    assert all(0 < end - start <= longest for start, end in pieces)
    assert all(a[1] == b[0] for a, b in itertools.pairwise(pieces))


def test_no_crumb_is_left_over() -> None:
    audio = np.ones(31 * RATE, np.float32)
    end = next_cut(audio, 0, 30 * RATE, RATE)
    assert min(end, 31 * RATE - end) > 0.2 * 31 * RATE
