"""What people record: silence, noise, pauses, crumbs of speech, several languages; the bundled model."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from speech_clips import clips

from secateur.audio.read import read_audio
from secateur.audio.tone import edges
from secateur.decode.options import DecodingOptions
from secateur.runtime.recogniser import Recogniser
from secateur.runtime.vad import silero_path

RATE = 16000


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    return Recogniser.load(threads=1)


def plain(text: str) -> list[str]:
    return "".join(c for c in text.lower() if c.isalnum() or c in "' ").split()


@pytest.fixture(scope="module")
def two(recogniser: Recogniser, speech: Path) -> list[tuple[np.ndarray, list[str]]]:  # type: ignore[type-arg]
    """Two clips, and the words of each alone."""
    audios = [audio for audio, _ in clips(speech, "librispeech-mini", 40, "dev")[:2]]
    return [(audio, plain(recogniser.transcribe(audio).text)) for audio in audios]


@pytest.mark.parametrize("pause", [3, 12])
@pytest.mark.parametrize("detector", ["auto", "energy"])
def test_a_pause_loses_no_words(
    recogniser: Recogniser,
    two: list[tuple[np.ndarray, list[str]]],
    pause: int,
    detector: str,  # type: ignore[type-arg]
) -> None:
    (one, _), (other, _) = two
    hiss = (3e-4 * np.random.default_rng(0).standard_normal(pause * RATE)).astype(np.float32)
    joined = recogniser.transcribe(
        np.concatenate([one, hiss, other]), DecodingOptions(vad_detector=detector, word_times=True)
    )
    alone = [words for _, words in two]
    words = plain(joined.text)
    assert len(words) == pytest.approx(sum(map(len, alone)), abs=3)
    assert len({*alone[1]} & {*words}) >= 0.8 * len({*alone[1]})
    times = [word.start for word in joined.words]
    assert times == sorted(times)
    silence = (len(one) / RATE + 0.7, len(one) / RATE + pause - 0.7)
    assert not [t for t in times if silence[0] < t < silence[1]]
    assert joined.words[-1].end <= joined.duration


@pytest.mark.parametrize("word_times", [False, True])
def test_no_segment_spans_a_long_silence(recogniser: Recogniser, speech: Path, word_times: bool) -> None:
    one, other = (audio[: 8 * RATE] for audio, _ in clips(speech, "librispeech-mini", 40, "dev")[:2])
    hiss = (3e-4 * np.random.default_rng(0).standard_normal(9 * RATE)).astype(np.float32)
    found = recogniser.transcribe(np.concatenate([one, hiss, other]), DecodingOptions(word_times=word_times))
    assert all(s.end <= 8.5 or s.start >= 16.5 for s in found.segments)
    assert " ".join(s.text for s in found.segments) == found.text
    assert all(bool(s.words) == word_times for s in found.segments)


@pytest.mark.parametrize(("pause", "word_times"), [(1.2, False), (3.5, True)])
def test_segments_end_at_a_pause_and_begin_after_it(
    recogniser: Recogniser, speech: Path, pause: float, word_times: bool
) -> None:
    chosen = [audio for audio, _ in clips(speech, "librispeech-mini", 40, "dev")[:2]]
    one, other = (audio[slice(*edges(audio, RATE))][: 9 * RATE] for audio in chosen)
    hiss = (3e-4 * np.random.default_rng(0).standard_normal(round(pause * RATE))).astype(np.float32)
    options = DecodingOptions(timestamps=True, word_times=word_times)
    found = recogniser.transcribe(np.concatenate([one, hiss, other]), options)
    assert min(abs(s.end - len(one) / RATE) for s in found.segments) < 0.2
    assert min(abs(s.start - len(one) / RATE - pause) for s in found.segments) < 0.2
    assert all(a.end <= b.start for a, b in itertools.pairwise(found.segments))
    assert " ".join(s.text for s in found.segments) == found.text
    assert all(bool(s.words) == word_times for s in found.segments)


@pytest.mark.parametrize("length", [0.005, 0.025, 0.05])
def test_a_crumb_of_speech_is_no_word(recogniser: Recogniser, speech: Path, length: float) -> None:
    audio = clips(speech, "librispeech-mini", 1, "dev")[0][0]
    middle = audio[len(audio) // 2 :][: round(length * RATE)]
    assert recogniser.transcribe(middle).text == ""


@pytest.mark.parametrize("kind", ["white", "brown", "hum", "clicks", "tone"])
@pytest.mark.parametrize("detector", ["auto", "energy"])
def test_sounds_without_speech_give_no_text(recogniser: Recogniser, kind: str, detector: str) -> None:
    random, t = np.random.default_rng(0), np.arange(6 * RATE) / RATE
    sound = {
        "white": 0.1 * random.standard_normal(len(t)),
        "brown": np.cumsum(random.standard_normal(len(t))) * 2e-4,
        "hum": sum(0.1 / k * np.sin(2 * np.pi * 50 * k * t) for k in (1, 2, 3)) + 1e-3 * random.standard_normal(len(t)),
        "clicks": 0.5 * (random.random(len(t)) < 2e-4) + 1e-4 * random.standard_normal(len(t)),
        "tone": 0.2 * np.sin(2 * np.pi * 440 * t),
    }[kind]
    found = recogniser.transcribe(sound.astype(np.float32), DecodingOptions(vad_detector=detector))
    assert (found.text, found.segments) == ("", ())


@pytest.mark.skipif(silero_path() is None, reason="no silero")
def test_city_noise_gives_hardly_any_text(recogniser: Recogniser, speech: Path) -> None:
    folder = speech / "urbansound"
    if not folder.is_dir():
        pytest.skip("no set urbansound")
    rows = [json.loads(line) for line in (folder / "test.jsonl").read_text().splitlines()]
    quiet = [read_audio(folder / row["audio"], RATE) for row in rows if not row["may_hold_speech"]][::3]
    texts = [found.text for found in recogniser.transcribe_batch(quiet)]
    assert sum(map(bool, texts)) <= 0.1 * len(texts)


def test_speech_is_not_taken_for_noise(recogniser: Recogniser, speech: Path) -> None:
    quiet = [a * np.float32(0.03) for a, _ in clips(speech, "speechocean762", 20, "dev")]
    assert all(found.text for found in recogniser.transcribe_batch(quiet))


def test_detection_off_decodes_everything_as_it_is(recogniser: Recogniser, speech: Path) -> None:
    audio = clips(speech, "speechocean762", 1, "dev")[0][0]
    plainly = DecodingOptions(vad="off", calibrated=False, no_speech_threshold=None, temperatures=(0.0,))
    noise = (0.1 * np.random.default_rng(0).standard_normal(RATE)).astype(np.float32)
    found = recogniser.transcribe_batch([audio, noise], plainly)
    assert all(one.text for one in found)
    assert found[0].text == recogniser.transcribe(audio, replace(plainly, vad="on")).text
