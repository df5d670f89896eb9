"""Speech found and not lost: quiet, in noise, after silence; with silero and with the detector of our own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from speech_clips import clips

from secateur.decode.clips import DecodedAudio
from secateur.decode.generation import Generation
from secateur.decode.segments import Segment
from secateur.decode.speech import SpeechSettings, Window, regions
from secateur.runtime.passages import decoded
from secateur.runtime.vad import BLOCK, Silero, silero_path, speech_probabilities

RATE = 16000
DETECTORS = ["energy", pytest.param("silero", marks=pytest.mark.skipif(silero_path() is None, reason="no silero"))]


def found(audio: np.ndarray, detector: str, rate: int = RATE) -> list[tuple[float, float]]:  # type: ignore[type-arg]
    """Regions in seconds."""
    (p,) = speech_probabilities([audio], rate, detector)
    return [(a / rate, b / rate) for a, b in regions(p, round(BLOCK * rate), SpeechSettings(), rate)]


@pytest.fixture(scope="module")
def said(speech: Path) -> list[np.ndarray]:  # type: ignore[type-arg]
    return [audio for name in ("speechocean762", "librispeech-mini") for audio, _ in clips(speech, name, 4, "dev")]


@pytest.mark.parametrize("detector", DETECTORS)
@pytest.mark.parametrize("level", [0, -30, -45])
@pytest.mark.parametrize("snr", [None, 5])
def test_no_clip_is_lost(
    said: list[np.ndarray],
    detector: str,
    level: float,
    snr: float | None,  # type: ignore[type-arg]
) -> None:
    random = np.random.default_rng(0)
    for clip in said:
        audio = clip * np.float32(10 ** (level / 20))
        if snr is not None:
            noise = random.standard_normal(len(audio)) * np.sqrt(np.square(audio).mean()) * 10 ** (-snr / 20)
            audio = (audio + noise).astype(np.float32)
        whole = found(clip, "energy")
        speech = sum(b - a for a, b in found(audio, detector))
        assert speech > 0.4 * sum(b - a for a, b in whole)


@pytest.mark.parametrize("detector", DETECTORS)
def test_a_pause_of_hiss_is_no_speech(said: list[np.ndarray], detector: str) -> None:  # type: ignore[type-arg]
    hiss = (3e-4 * np.random.default_rng(0).standard_normal(8 * RATE)).astype(np.float32)
    first, second = said[0], said[1]
    spans = found(np.concatenate([first, hiss, second]), detector)
    start, end = len(first) / RATE + 0.5, len(first) / RATE + 7.5
    inside = sum(max(0.0, min(b, end) - max(a, start)) for a, b in spans)
    assert inside < 0.4
    assert any(b <= start for _, b in spans)
    assert any(a >= end for a, _ in spans)


@pytest.mark.skipif(silero_path() is None, reason="no silero")
def test_recordings_together_are_as_each_by_itself_block_by_block(
    said: list[np.ndarray],  # type: ignore[type-arg]
) -> None:
    loud = [clip / np.abs(clip).max() * 0.5 for clip in said]
    together = speech_probabilities([*loud, np.zeros(0, np.float32)], RATE)
    assert len(together[-1]) == 0
    for audio, p in zip(loud, together, strict=False):
        network = Silero()
        blocks = [np.pad(audio[i : i + 512], (0, max(0, i + 512 - len(audio)))) for i in range(0, len(audio), 512)]
        np.testing.assert_allclose(p, [network(block) for block in blocks], atol=2e-2)


@pytest.mark.parametrize("detector", DETECTORS)
def test_other_rates(said: list[np.ndarray], detector: str) -> None:  # type: ignore[type-arg]
    import soxr

    half = soxr.resample(said[0], RATE, 8000)
    speech = sum(b - a for a, b in found(half, detector, 8000))
    assert speech == pytest.approx(sum(b - a for a, b in found(said[0], detector)), rel=0.35)
    assert len(speech_probabilities([half], 8000, detector)[0]) == -(-len(half) // 256)


def test_words_in_a_gap_of_a_window_come_in_the_order_of_their_times() -> None:
    rate = 16_000
    spans = {"one": (0, 3), "two": (5, 6), "three": (8, 11), "four": (12, 13), "five": (15, 18)}
    audio = np.zeros(18 * rate, np.float32)
    for level, (start, end) in enumerate(spans.values(), 1):
        audio[start * rate : end * rate] = level

    def decode(audios: list[np.ndarray], at_pauses: bool) -> list[DecodedAudio]:
        names = [[list(spans)[int(level) - 1] for level in np.unique(one) if level] for one in audios]
        return [
            DecodedAudio(tuple(Segment(0.0, len(a) / rate, name, -0.1, None, ()) for name in some), "en")
            for some, a in zip(names, audios, strict=True)
        ]

    def at(name: str) -> tuple[int, int]:
        return spans[name][0] * rate, spans[name][1] * rate

    whole = Window((at("one"), at("three"), at("five")), 9 * rate)
    plan = [whole, Window((at("two"),), 0), Window((at("four"),), 0)]
    (result,) = decoded([audio], [plan], Generation(), rate, decode)
    assert [segment.text for segment in result.segments] == list(spans)
    assert [segment.start for segment in result.segments] == [start for start, _ in spans.values()]
