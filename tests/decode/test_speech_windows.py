"""Regions of speech, windows that end in pauses, and times that come back to the recording."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from secateur.decode.speech import SpeechSettings, Window, gaps, regions, windows

RATE = 16000
SETTINGS = SpeechSettings()
BLOCK = 512


def seconds(*spans: tuple[float, float]) -> list[tuple[int, int]]:
    return [(round(a * RATE), round(b * RATE)) for a, b in spans]


def recording(length: float) -> np.ndarray:  # type: ignore[type-arg]
    return np.random.default_rng(0).standard_normal(round(length * RATE)).astype(np.float32)


def test_hysteresis_keeps_what_gets_quieter_and_clicks_go() -> None:
    p = np.array([0, 0.9, *[0.4] * 10, 0, *[0.0] * 20, 0.9, *[0] * 20])
    assert regions(p, BLOCK, SETTINGS, RATE) == [(BLOCK, 12 * BLOCK)]


def test_speech_throughout_is_the_recording_as_it_is() -> None:
    audio = recording(5)
    assert windows(seconds((0.7, 4.2)), audio, 20 * RATE, SETTINGS, RATE)[0].spans == ((0, 5 * RATE),)


@pytest.mark.parametrize("pause", [2.5, 6, 60])
def test_a_long_pause_is_cut_and_times_come_back(pause: float) -> None:
    audio = recording(8 + pause)
    (made,) = windows(seconds((0.5, 3.0), (3 + pause, 7 + pause)), audio, 20 * RATE, SETTINGS, RATE)
    assert made.samples == pytest.approx(9 * RATE, abs=2)  # 8 s of the rest and 1 s of the pause
    assert len(made.of(audio)) == made.samples
    assert made.original(1.0, RATE) == pytest.approx(1.0)
    assert made.original(4.0, RATE) == pytest.approx(3 + pause)  # speech begins again 4 s into the window
    assert made.original(3.5, RATE, ends=True) == pytest.approx(3.5)


def test_windows_are_short_enough_and_hold_all_speech_in_order() -> None:
    random = np.random.default_rng(1)
    spans, at = [], 0.3
    for _ in range(40):
        length, pause = random.uniform(0.4, 9), random.choice([0.2, 0.5, 1.5, 4.0])
        spans.append((at, at + length))
        at += length + pause
    audio, speech = recording(at), seconds(*spans)
    made = windows(speech, audio, 20 * RATE, SETTINGS, RATE)
    assert all(window.samples <= 20 * RATE for window in made)
    kept = [span for window in made for span in window.spans]
    assert kept == sorted(kept)
    assert all(b <= c for (_, b), (c, _) in itertools.pairwise(kept))
    for start, end in speech:  # nothing of it is in a gap
        assert sum(max(0, min(end, b) - max(start, a)) for a, b in kept) == end - start
    cuts = [window.spans[-1][1] for window in made[:-1]]
    assert not [cut for cut in cuts if any(a < cut < b for a, b in speech)]


def test_speech_without_a_pause_is_cut_where_it_is_quietest() -> None:
    audio = recording(50)
    audio[17 * RATE : round(17.4 * RATE)] *= 0.01
    made = windows(seconds((0, 50)), audio, 20 * RATE, SETTINGS, RATE)
    assert all(window.samples <= 20 * RATE for window in made)
    assert sum(window.samples for window in made) == len(audio)
    assert 17 * RATE < made[0].spans[-1][1] < 17.4 * RATE


def test_gaps_are_what_no_window_holds() -> None:
    made = [Window(((10, 20), (40, 50)), 5), Window(((50, 60),), 5)]
    assert gaps(made, np.zeros(100, np.float32)) == [(0, 10), (20, 40), (60, 100)]
    assert gaps([], np.zeros(7, np.float32)) == [(0, 7)]
