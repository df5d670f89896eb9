"""Times of words and segments come back from windows out of which pauses were cut."""

from __future__ import annotations

import numpy as np
import pytest

from secateur.decode.segments import Segment, Word
from secateur.decode.speech import Window
from secateur.runtime.passages import located

RATE = 16000


def recording(*tones: tuple[float, float], seconds: float, noise: float = 0.0) -> np.ndarray:
    """A tone from each start to its end (seconds), and hiss between."""
    time = np.arange(round(seconds * RATE)) / RATE
    audio = noise * np.random.default_rng(0).standard_normal(len(time))
    for start, end in tones:
        audio += 0.3 * np.sin(2 * np.pi * 220 * time) * ((time >= start) & (time < end))
    return audio.astype(np.float32)


def window(*spans: tuple[float, float]) -> Window:
    return Window(tuple((round(a * RATE), round(b * RATE)) for a, b in spans), RATE)


def segment(start: float, end: float, *words: tuple[str, float, float]) -> Segment:
    text = " ".join(word for word, _, _ in words)
    return Segment(start, end, text, -0.1, None, (1,), words=tuple(Word(w, a, b, 0.9) for w, a, b in words))


@pytest.mark.parametrize("noise", [0.0, 0.003])
@pytest.mark.parametrize("pause", [3.0, 20.0])
def test_no_word_reaches_over_a_pause_that_was_cut_out(pause: float, noise: float) -> None:
    """1 s of speech, the pause, 1 s of speech; half a second of the pause stays in the window on either side."""
    again = 1 + pause
    audio = recording((0, 1), (again, again + 1), seconds=again + 1.5, noise=noise)
    words = ("one", 0.1, 0.6), ("two", 0.6, 1.9), ("ran", 1.2, 1.3), ("over", 1.4, 2.4), ("on", 2.4, 2.9)
    found = located(
        window((0, 1.5), (again - 0.5, again + 1.5)),
        [segment(0.0, 3.5, *words)],
        audio,
        RATE,
    )[0]
    times = {word.text: (word.start, word.end) for word in found.words}
    assert times["one"] == (0.1, 0.6) and times["on"] == pytest.approx((again + 0.4, again + 0.9), abs=0.01)
    assert times["two"] == pytest.approx((0.6, 1.0), abs=0.02)  # most of its sound is before
    assert times["ran"][0] == pytest.approx(again, abs=0.02)  # in the pause: attention ran ahead
    assert times["over"] == pytest.approx((again, again + 0.4), abs=0.02)
    assert (found.start, found.end) == pytest.approx((0.0, again + 1.5), abs=0.02)


def test_a_segment_begins_after_the_pause_that_it_was_timed_into() -> None:
    audio = recording((0, 1), (9, 10), seconds=10)
    spans = window((0, 1.5), (8.5, 10))
    first, second = located(spans, [segment(0, 1.8), segment(1.2, 3.0)], audio, RATE)
    assert (first.start, first.end) == pytest.approx((0, 1.0), abs=0.02)
    assert (second.start, second.end) == pytest.approx((9, 10), abs=0.02)


def test_a_window_without_a_cut_keeps_its_times() -> None:
    audio = recording((1, 2), seconds=3)
    found = located(window((0.5, 2.5)), [segment(0.0, 2.0, ("a", 0.0, 0.3), ("b", 0.3, 1.9))], audio, RATE)[0]
    assert (found.start, found.end) == (0.5, 2.5)
    assert [(w.start, w.end) for w in found.words] == [(0.5, 0.8), (0.8, 2.4)]
