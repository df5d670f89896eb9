"""The conditions of real use: what is built, what is measured, and what a change is called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from secateur.base.errors import SecateurError
from secateur.data.manifest import Utterance
from secateur.decode.clips import DecodedAudio
from secateur.decode.options import DecodingOptions
from secateur.decode.segments import Segment
from secateur.evaluate.conditions import ALL, ClipSamples, build, chosen, generated_sound
from secateur.evaluate.real_use import loops, measure, read_results, source_of, write_results
from secateur.evaluate.real_use_table import change_table, changes, drifted, lines, table
from secateur.runtime.recogniser import Recogniser

RATE = 16000
OFF = DecodingOptions(vad="off")
TEXTS = ["the quick brown fox", "jumps over Zbigniew", "a lazy dog sleeps", "in the garden today", "nobody knows why",
         "it rains again tonight"]  # fmt: skip


def voice(seconds: float, pitch: float, seed: int) -> np.ndarray[Any, Any]:
    """Two syllables with a gap in the middle, 0.3 s of hiss on both sides."""
    random = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    sound = 0.2 * np.sin(2 * np.pi * pitch * time) * (np.abs(time - seconds / 2) > 0.1)
    sound = np.concatenate([np.zeros(int(0.3 * RATE)), sound, np.zeros(int(0.3 * RATE))])
    return (sound + 0.002 * random.standard_normal(len(sound))).astype(np.float32)


SOUNDS = {f"c{i}": voice(1.0 + 0.4 * i, 150 + 40 * i, i) for i in range(6)}
CLIPS = [
    Utterance(name, Path(f"/{name}.wav"), len(sound) / RATE, TEXTS[i], speaker=f"s{i // 2}")
    for i, (name, sound) in enumerate(SOUNDS.items())
]


def source(**changed: Any) -> ClipSamples:
    return ClipSamples(CLIPS, lambda u: SOUNDS[u.id], RATE, **changed)


def test_conditions_are_the_same_for_everybody_and_differ_by_seed() -> None:
    for name in chosen(["all"]):
        one, two, other = build(name, source()), build(name, source()), build(name, source(seed=1))
        assert [c.utterance.id for c in one] == [c.utterance.id for c in two]
        assert all(np.array_equal(a.samples, b.samples) and a.words == b.words for a, b in zip(one, two, strict=True))
        if name.startswith("pause"):
            assert not np.array_equal(one[0].samples, other[0].samples)


def test_a_pause_is_room_tone_between_two_halves() -> None:
    for case, clip in zip(build("pause-2", source()), CLIPS, strict=True):
        sound = SOUNDS[clip.id]
        assert len(case.samples) == len(sound) + 2 * RATE and case.utterance.text == clip.text
        loud = np.flatnonzero(np.abs(case.samples) > 0.05) / RATE
        gaps = np.diff(loud)
        assert gaps.max() == pytest.approx(2.2, abs=0.15)  # the gap that was there, and two seconds
        start = float(loud[int(np.argmax(gaps))]) + 0.5
        inside = case.samples[int(start * RATE) : int((start + 1) * RATE)]
        assert float(np.sqrt(np.mean(inside**2))) == pytest.approx(0.002, rel=0.25)


def test_joined_recordings_say_all_their_clips_and_where_each_begins() -> None:
    cases = build("joined-8", source())
    assert [name for case in cases for name in case.of] == [c.id for c in CLIPS][: sum(len(c.of) for c in cases)]
    for case in cases:
        assert 4.8 <= len(case.samples) / RATE <= 8.0
        assert case.utterance.text == " ".join(c.text for c in CLIPS if c.id in case.of)
        for start, end in case.joints:
            loud = np.abs(case.samples[int((start + 0.06) * RATE) : int((end - 0.06) * RATE)]) > 0.05
            assert loud.mean() > 0.4
            before = case.samples[max(0, int((start - 0.25) * RATE)) : max(0, int((start - 0.05) * RATE))]
            assert not len(before) or np.abs(before).max() < 0.05
    assert build("joined-300", source()) == []  # too few clips
    assert {c.timestamps for c in build("timestamps", source())} == {True}
    both = [replace(c, language="de" if i % 2 else "en") for i, c in enumerate(CLIPS)]
    mixed = ClipSamples(both, lambda u: SOUNDS[u.id], RATE)
    assert all(len(c.of) == 1 for c in build("joined-3", mixed))


def test_prompts_name_what_is_said_or_what_is_not() -> None:
    right, wrong, neutral = (build(f"prompt-{kind}", source()) for kind in ("words", "wrong", "neutral"))
    assert "Zbigniew" in right[1].words and len(right[1].words) > 1
    for case, clip in zip(wrong, CLIPS, strict=True):
        assert case.words and not set(case.words) & set(clip.text.split())
    assert {c.words for c in neutral} == {("This is a recording of someone who speaks.",)}


def test_names_of_conditions() -> None:
    assert chosen(["all"]) == list(ALL)
    assert chosen(["pause-3", "nonspeech"]) == ["clean", "pause-3", "nonspeech"]
    assert chosen(["prompt"]) == ["clean", "prompt-neutral", "prompt-words", "prompt-wrong"]
    for wrong in ("pauze", "pause-x", "pause--1", "prompt-right"):
        with pytest.raises(SecateurError, match="no condition"):
            chosen([wrong])
    with pytest.raises(SecateurError, match="clips with words"):
        source_of([replace(CLIPS[0], text="", no_speech=True)], RATE)


def test_sounds_without_speech_are_finite_and_of_many_levels() -> None:
    for kind in ("white", "brown", "hum", "tones", "clicks", "silence"):
        made = [generated_sound(kind, 8000, RATE, np.random.default_rng(i)) for i in range(4)]
        assert all(np.isfinite(m).all() and np.abs(m).max() <= 1 for m in made)
        assert kind == "silence" or len({round(float(np.std(m)), 5) for m in made}) == 4


class Scripted(Recogniser):
    """A recogniser whose answers are a function of the samples."""

    def __init__(self, answer: Callable[[np.ndarray[Any, Any], DecodingOptions], str], tokens: bool = True) -> None:
        from types import SimpleNamespace

        known = SimpleNamespace(previous=1, timestamps=2, multilingual=False, languages={}) if tokens else None
        self.config = SimpleNamespace(front_end=SimpleNamespace(sample_rate=RATE), tokens=known)
        self.answer = answer

    @property
    def window_seconds(self) -> float:
        return 30.0

    def check(self, options: DecodingOptions) -> None:
        """Anything can be asked of it."""

    def groups(self, audios: Any, options: DecodingOptions) -> list[list[int]]:
        return [[i] for i in range(len(audios))]

    def decode_group(self, audios: Any, options: DecodingOptions) -> list[DecodedAudio]:
        text = self.answer(audios[0], options)
        seconds = len(audios[0]) / RATE
        return [DecodedAudio((Segment(0.5, seconds, text, -0.1, 0.0, ()),) if text else (), "en")]

    def text_of(self, heard: DecodedAudio) -> str:
        return " ".join(s.text for s in heard.segments)


def knows(audio: np.ndarray[Any, Any], options: DecodingOptions) -> str:
    """Right on clips as they are, nothing else: pauses are cut off, prompts repeated, silence filled."""
    for name, sound in SOUNDS.items():
        if len(sound) == len(audio):
            text = TEXTS[int(name[1:])]
            return f"{text} {options.words[0]}" if options.words else text
    return "thank you for watching" if np.abs(audio).max() < 0.1 else "the quick"


def test_results_say_what_was_lost_against_clean_clips() -> None:
    names = ["clean", "pause-2", "prompt-wrong", "timestamps", "nonspeech"]
    silent = [Utterance(f"n{i}", Path(f"/n{i}.wav"), 1.0, no_speech=True) for i in range(4)]
    hiss = {u.id: (0.01 * (i + 1) * np.ones(RATE)).astype(np.float32) for i, u in enumerate(silent)}
    own = ClipSamples(CLIPS, lambda u: SOUNDS.get(u.id, hiss.get(u.id)), RATE, nonspeech=silent)  # type: ignore[arg-type, return-value]
    results = measure(Scripted(knows), own, names, model="scripted", data="made", options=OFF)
    found = {one.name: one for one in lines(results)}
    assert found["clean"].value == 0.0 and found["clean"].change is None
    assert found["pause-2"].change is not None and found["pause-2"].change.delta > 0.3
    assert found["prompt-wrong"].change is not None
    assert found["prompt-wrong"].value == pytest.approx(6 / sum(len(t.split()) for t in TEXTS), abs=0.01)
    assert found["nonspeech"].value == 1.0 and found["nonspeech"].words_a_minute == pytest.approx(4 * 4 / (4 / 60))
    assert found["timestamps"].unit == "s" and found["timestamps"].value > 0.1
    assert len(table(list(found.values()))[1]) == 5
    deaf = measure(Scripted(lambda audio, options: ""), own, names, model="deaf", data="made", options=OFF)
    against = {one.name: one for one in changes(results, deaf)}
    assert against["clean"].delta == 1.0 and against["clean"].no_worse == 0.0
    assert against["nonspeech"].delta == -1.0 and against["nonspeech"].no_worse == 1.0
    assert len(change_table(list(against.values()))[1]) == 5
    assert drifted(results, deaf, {"nonspeech": 1.0}) == []
    said = drifted(deaf, results, {"nonspeech": 4.0, "pause": 0.5})
    assert len(said) == 1 and said[0].startswith("nonspeech: 100.0 % against 0.0 %")
    assert drifted(results, deaf, {"pause": 0.5})[0].startswith("pause-2")


def test_results_are_kept_as_files_that_compare_reads(tmp_path: Path) -> None:
    results = measure(Scripted(knows), source(), ["clean", "pause-2"], model="scripted", data="made", options=OFF)
    write_results(tmp_path / "kept", results)
    again = read_results(tmp_path / "kept")
    assert list(again) == ["clean", "pause-2"] and again["pause-2"].rows == results["pause-2"].rows
    (tmp_path / "none").mkdir()
    with pytest.raises(SecateurError, match="no results of conditions"):
        read_results(tmp_path / "none")


def test_what_a_model_cannot_take_is_left_out_with_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    results = measure(Scripted(knows, tokens=False), source(), chosen(["all"]), model="ctc", data="made")
    assert {"prompt-words", "previous", "timestamps", "joined-300"}.isdisjoint(results)
    said = capsys.readouterr().err
    assert "prompt-words: left out, the model takes no prompt" in said
    assert "joined-300: left out, the clips are too few for it" in said


@pytest.mark.parametrize(
    ("text", "is_loop"),
    [("and so on and so on and so on and so on", True), ("no no no", False), ("one two three", False),
     ("今天好今天好今天好今天好", True), ("", False)],
)  # fmt: skip
def test_loops_of_words_and_characters(text: str, is_loop: bool) -> None:
    assert loops(text) == is_loop
