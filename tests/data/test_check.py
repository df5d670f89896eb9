"""Every kind of problem is planted in a set of sounds and texts, found, and named; a sound set has none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from secateur.data.check import CheckSettings, check, check_texts
from secateur.data.manifest import Utterance, read_manifest

RATE = 16000


@pytest.fixture
def clips(tmp_path: Path) -> list[Utterance]:
    """Thirty clips of noise, each of its own length, with texts of a proportional length."""
    random = np.random.default_rng(0)
    made = []
    for i in range(30):
        seconds = 0.5 + 0.01 * i
        path = tmp_path / f"{i}.flac"
        soundfile.write(path, random.normal(0, 0.1, round(seconds * RATE)).clip(-0.9, 0.9), RATE)
        made.append(Utterance(str(i), path, seconds, "a word or two"[: 6 + i // 5], f"s{i % 3}"))
    return made


def kinds(utterances: list[Utterance], settings: CheckSettings | None = None) -> list[tuple[str, str]]:
    return [(problem.id, problem.kind) for problem in check(utterances, settings)]


def test_a_sound_set_has_no_problems(clips: list[Utterance]) -> None:
    assert check(clips) == []


def test_audio_problems(clips: list[Utterance]) -> None:
    clips[0].audio.unlink()
    clips[1].audio.write_bytes(b"this is no sound")
    clips[2].audio.write_bytes(b"")
    soundfile.write(clips[3].audio, np.zeros(0), RATE)
    soundfile.write(clips[4].audio, np.full(round(clips[4].duration * RATE), 1e-4), RATE)
    loud, _ = soundfile.read(clips[5].audio)
    soundfile.write(clips[5].audio, (loud * 30).clip(-1, 1), RATE)
    clips[6] = replace(clips[6], duration=clips[6].duration + 0.2)
    soundfile.write(clips[8].audio.with_suffix(".wav"), soundfile.read(clips[7].audio)[0], RATE)
    clips[8] = replace(clips[8], audio=clips[8].audio.with_suffix(".wav"), duration=clips[7].duration)
    whole = clips[9].audio.read_bytes()
    clips[9].audio.write_bytes(whole[: len(whole) // 2])
    expected = ["missing", "corrupt", "zero-length", "zero-length", "silent", "clipped", "duration"]
    assert kinds(clips) == [*((str(i), kind) for i, kind in enumerate(expected)), ("8", "duplicate"), ("9", "corrupt")]
    by_id = {problem.id: problem.detail for problem in check(clips)}
    assert by_id["6"] == "0.56 s long, not 0.76 s"
    assert by_id["8"] == "same audio as '7'"
    assert by_id["5"].endswith("% of the samples at full scale")


def test_silent_clips_are_no_duplicates_of_each_other(clips: list[Utterance]) -> None:
    for i in (0, 1):
        soundfile.write(clips[i].audio, np.zeros(RATE), RATE)
        clips[i] = replace(clips[i], duration=1.0)
    assert kinds(clips) == [("0", "silent"), ("1", "silent")]


def test_text_problems(clips: list[Utterance]) -> None:
    clips[0] = replace(clips[0], text=" ")
    clips[1] = replace(clips[1], text="a very long text for " * 5)
    clips[2] = replace(clips[2], text="a")
    clips[3] = replace(clips[3], text="дом улица")
    clips[4] = replace(clips[4], text="a € or two")
    clips[5] = replace(clips[5], text="<unk> or so")
    expected = ["no-text", "rate", "rate", "characters", "characters", "characters"]
    assert kinds(clips) == [(str(i), kind) for i, kind in enumerate(expected)]
    details = [problem.detail for problem in check(clips)]
    assert details[4] == "unusual in this set: €"
    assert details[5] == "marks that cleaning removes: < >"


def test_markup_is_noted_and_ampersands_are_not() -> None:
    texts = [
        "it&#39;s &lt;unk&gt;",
        "a &amp; b <i>c</i>",
        f"<font face='{'x' * 500}",
        "fish & chips; AT&T",
        "1 < 2 > 0",
    ]
    found = check_texts([Utterance(str(i), Path("/a"), 1.0, text) for i, text in enumerate(texts)])
    assert [(p.id, p.kind, p.detail) for p in found[:2]] == [
        ("0", "characters", "HTML entities or tags: &#39; &lt; &gt;"),
        ("1", "characters", "HTML entities or tags: &amp; <i> </i>"),
    ]
    assert [p.id for p in found] == ["0", "1", "2"]


def test_repeated_texts_and_other_languages_are_no_problem(clips: list[Utterance]) -> None:
    same = [replace(u, text="a word or") for u in clips]
    chinese = [replace(u, id=f"z{u.id}", text="你好", language="zh") for u in clips[:3]]
    assert check_texts(same + chinese) == []


def test_one_worker_and_many_find_the_same_and_files_alone_can_be_checked(clips: list[Utterance]) -> None:
    clips[3].audio.unlink()
    clips[4].audio.write_bytes(b"no sound")
    assert check(clips, workers=1) == check(clips, workers=4)
    assert [problem.kind for problem in check(clips, audio=False)] == ["missing"]


def test_thresholds(clips: list[Utterance]) -> None:
    clips[0] = replace(clips[0], duration=clips[0].duration + 0.2)
    assert kinds(clips, CheckSettings(duration=0.3)) == []
    assert len(kinds(clips, CheckSettings(silence_db=0.0))) == 31


def test_real_speech_is_sound_and_planted_mistakes_are_found(speech: Path) -> None:
    some = read_manifest(speech / "librispeech-mini" / "test.jsonl")[:60]
    assert check(some) == []
    shortest, longest = (f(some, key=lambda u: u.duration) for f in (min, max))
    swapped = {shortest.id: replace(shortest, text=longest.text), longest.id: replace(longest, text=shortest.text)}
    found = check([swapped.get(u.id, u) for u in some], audio=False)
    assert {(problem.id, problem.kind) for problem in found} == {(shortest.id, "rate"), (longest.id, "rate")}


def test_a_slow_speaker_is_held_against_himself() -> None:
    def spoken(speaker: str, pace: float) -> list[Utterance]:
        return [Utterance(f"{speaker}{i}", Path("/a"), (20 + i) * pace, "x" * (20 + i), speaker) for i in range(15)]

    everyone = [*spoken("slow", 0.5), *spoken("quick", 0.05), *spoken("brisk", 0.06)]
    assert check_texts(everyone) == []
    swapped = replace(everyone[0], text="x" * 200)
    assert [(p.id, p.kind) for p in check_texts([swapped, *everyone[1:]])] == [("slow0", "rate")]
