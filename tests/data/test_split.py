"""Splits: an exact partition by speaker whose hours come as close to the shares as whole speakers allow."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secateur.base.errors import SecateurError
from secateur.data.manifest import Utterance, read_manifest
from secateur.data.split import shared_texts, split_by_speaker, without_texts_of


@st.composite
def any_set(draw: st.DrawFn) -> list[Utterance]:
    speakers = draw(st.lists(st.text(min_size=1, max_size=3), min_size=1, max_size=12, unique=True))
    rows = draw(st.lists(st.tuples(st.sampled_from(speakers), st.floats(0, 100)), min_size=1, max_size=60))
    return [Utterance(str(i), Path("/a.wav"), seconds, speaker=s) for i, (s, seconds) in enumerate(rows)]


SHARES = st.dictionaries(st.sampled_from(["train", "dev", "test", "more"]), st.floats(0.01, 10), min_size=1)


@given(any_set(), SHARES, st.integers(0, 5), st.randoms())
def test_every_split_is_exact(utterances: list[Utterance], shares: dict[str, float], seed: int, random: Random) -> None:
    speakers = {u.speaker for u in utterances}
    if len(speakers) < len(shares):
        with pytest.raises(SecateurError, match="cannot make"):
            split_by_speaker(utterances, shares, seed)
        return
    splits = split_by_speaker(utterances, shares, seed)
    assert list(splits) == list(shares)
    assert sorted(u.id for members in splits.values() for u in members) == sorted(u.id for u in utterances)
    heard = [{u.speaker for u in members} for members in splits.values()]
    assert all(heard)
    assert sum(map(len, heard)) == len(speakers)
    total = sum(u.duration for u in utterances)
    longest = max(sum(u.duration for u in utterances if u.speaker == s) for s in speakers)
    for name, members in splits.items():
        target = shares[name] / sum(shares.values()) * total
        assert sum(u.duration for u in members) <= target + longest + 1e-6
        assert [int(u.id) for u in members] == sorted(int(u.id) for u in members)
    shuffled = list(utterances)
    random.shuffle(shuffled)
    again = split_by_speaker(shuffled, shares, seed)
    assert {n: {u.id for u in m} for n, m in again.items()} == {n: {u.id for u in m} for n, m in splits.items()}


def test_many_speakers_come_close_to_the_shares_and_seeds_differ() -> None:
    utterances = [Utterance(f"{s}-{i}", Path("/a"), 3.0, speaker=f"s{s}") for s in range(100) for i in range(5)]
    splits = split_by_speaker(utterances)
    assert [len(splits[name]) for name in ("train", "dev", "test")] == [400, 50, 50]
    assert {u.id for u in split_by_speaker(utterances, seed=1)["test"]} != {u.id for u in splits["test"]}


def test_by_another_field() -> None:
    rooms = [Utterance(str(i), Path("/a"), 1.0, speaker="one", extras={"room": i % 4}) for i in range(40)]
    halves = split_by_speaker(rooms, {"a": 1, "b": 1}, by="room")
    assert {u.extras["room"] for u in halves["a"]} | {u.extras["room"] for u in halves["b"]} == {0, 1, 2, 3}
    assert len(halves["a"]) == len(halves["b"]) == 20
    with pytest.raises(SecateurError, match="has no 'session'"):
        split_by_speaker(rooms, by="session")
    with pytest.raises(SecateurError, match="must be above 0"):
        split_by_speaker(rooms, {"a": 1, "b": 0}, by="room")


def test_shared_texts_are_counted_and_dropped() -> None:
    def clip(name: str, text: str) -> Utterance:
        return Utterance(name, Path("/a"), 1.0, text)

    train = [clip("1", "Turn it on."), clip("2", "turn it off"), clip("3", "")]
    test = [clip("4", "turn it ON"), clip("5", "louder"), clip("6", "")]
    assert shared_texts({"train": train, "dev": [clip("7", "no")], "test": test}) == {("train", "test"): 1}
    assert [u.id for u in without_texts_of(train, test)] == ["2", "3"]


def test_real_prompts_that_occur_twice(speech: Path) -> None:
    sets = {name: read_manifest(speech / "speechocean762" / f"{name}.jsonl") for name in ("train", "test")}
    assert shared_texts(sets)["train", "test"] > 10
    assert shared_texts({"train": without_texts_of(sets["train"], sets["test"]), "test": sets["test"]}) == {}
