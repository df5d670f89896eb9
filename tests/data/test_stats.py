"""Counts of a set, by hand and on real speech."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from secateur.base.errors import SecateurError
from secateur.data.manifest import Utterance, read_manifest
from secateur.data.stats import Stats, Tallies, Tally, draw_histogram, stats, words_of


def clips() -> list[Utterance]:
    a, b = Path("/a"), Path("/b")
    return [
        Utterance("1", a, 1.0, "Go, go!", "x", extras={"room": 1}),
        Utterance("2", a, 2.0, "don't stop", "x", extras={"room": 2}),
        Utterance("3", b, 3.0, "", "y", extras={"room": 2}),
        Utterance("4", b, 4.0, "你好，你", "z", "zh"),
    ]


def test_counts() -> None:
    found = stats(clips())
    assert (found.utterances, found.speakers, found.words, found.vocabulary, found.without_text) == (4, 3, 7, 5, 1)
    assert found.hours == pytest.approx(10 / 3600)
    assert found.seconds["50"] == 2.5
    assert (found.seconds["0"], found.seconds["100"]) == (1, 4)
    assert found.languages == {"en": 3, "zh": 1}
    assert stats([]).utterances == 0


def test_words() -> None:
    assert words_of("It's a well-known café.", "en") == ["it's", "a", "well", "known", "café"]
    assert words_of("北京 2008", "zh-CN") == ["北", "京", "2", "0", "0", "8"]


def stats_by(utterances: list[Utterance], by: str) -> dict[str, Stats]:
    tallies = Tallies(by)
    for u in utterances:
        tallies.add(u)
    return tallies.stats()


def test_groups() -> None:
    rooms = stats_by(clips(), "room")
    assert {name: s.utterances for name, s in rooms.items()} == {"2": 2, "": 1, "1": 1}
    assert list(stats_by(clips(), "language")) == ["en", "zh"]
    with pytest.raises(SecateurError, match=r"no utterance has 'gender'; there are: language, room, speaker"):
        stats_by(clips(), "gender")


def test_real_speech(speech: Path) -> None:
    utterances = read_manifest(speech / "speechocean762" / "test.jsonl")
    found = stats(utterances)
    assert (found.utterances, found.speakers) == (1500, 75)
    assert found.hours == pytest.approx(1.60, abs=0.01)
    assert sum(s.utterances for s in stats_by(utterances, "gender").values()) == 1500


def test_histogram(tmp_path: Path) -> None:
    tally = Tally()
    for u in clips():
        tally.add(u)
    draw_histogram(tmp_path / "h.png", [tally])
    picture = imread(tmp_path / "h.png")
    assert picture.shape[0] > 300
    assert np.std(picture) > 0.05
