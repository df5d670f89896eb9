"""Real weights on real speech: the same text as transformers, short and long; batches change nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from speech_clips import clips, dev_weights  # noqa: E402

from secateur.decode.clips import decode_clips, encode_clips  # noqa: E402
from secateur.decode.options import DecodingOptions  # noqa: E402
from secateur.decode.prompt import detect, likeliest  # noqa: E402
from secateur.decode.windows import decode_long, vote  # noqa: E402
from secateur.features.whisper import log_mel  # noqa: E402
from secateur.models.device_session import TorchSession  # noqa: E402
from secateur.text.tokenizer import Tokenizer  # noqa: E402
from secateur.weights.transformers_layout import read_transformers  # noqa: E402

Loaded = tuple[TorchSession, Tokenizer]
PLAIN = DecodingOptions(temperatures=(0.0,))


def load(name: str) -> Loaded:
    folder = dev_weights(name)
    if folder is None:
        pytest.skip(f"no weights of {name} in the cache")
    torch.set_num_threads(1)
    model, tokenizer = read_transformers(folder)
    return TorchSession(model), tokenizer


@pytest.fixture(scope="module")
def tiny() -> Loaded:
    return load("tiny.en")


@pytest.fixture(scope="module")
def reference() -> Any:
    folder = dev_weights("tiny.en")
    if folder is None:
        pytest.skip("no weights of tiny.en in the cache")
    model = transformers.WhisperForConditionalGeneration.from_pretrained(folder).eval().float()
    model.generation_config.alignment_heads = None
    return model


@pytest.fixture(scope="module")
def mixed(speech: Path) -> list[np.ndarray[Any, Any]]:
    return [audio for name in ("librispeech-mini", "speechocean762") for audio, _ in clips(speech, name, 5)]


def padded_features(session: TorchSession, audios: list[np.ndarray[Any, Any]]) -> Any:
    mels = [log_mel(np.pad(a, (0, 480_000 - len(a))), session.config.front_end) for a in audios]
    return torch.from_numpy(np.stack(mels)).transpose(1, 2)


def test_greedy_text_equals_transformers_on_clips_of_two_sets(tiny: Loaded, reference: Any, mixed: Any) -> None:
    session, tokenizer = tiny
    audios = mixed[::4]
    ours = [one.segments[0].tokens for one in decode_clips(session, tokenizer, audios, PLAIN)]
    with torch.no_grad():
        theirs = reference.generate(padded_features(session, audios), max_new_tokens=224).tolist()
    assert len(ours) == 3
    assert [list(row) for row in ours] == [[i for i in row if i < session.config.tokens.end] for row in theirs]


def test_long_audio_by_timestamps_equals_transformers(tiny: Loaded, reference: Any, speech: Path) -> None:
    session, tokenizer = tiny
    audio = np.concatenate([audio for audio, _ in clips(speech, "librispeech-mini", 6)[:3]])
    assert 35 < len(audio) / 16000 < 55  # two windows
    found = decode_long(session, tokenizer, audio, replace(PLAIN, vad="off")).segments
    mel = torch.from_numpy(log_mel(audio, session.config.front_end)).T[None]
    with torch.no_grad():
        theirs = reference.generate(
            mel, attention_mask=torch.ones(1, mel.shape[2]), return_timestamps=True, return_segments=True
        )["segments"][0]
    expected = [(float(s["start"]), float(s["end"]), tokenizer.decode(s["tokens"].tolist()).strip()) for s in theirs]
    # Theirs are features of the whole file, ours of each window: levels differ a little, so may single words.
    ours, whole = " ".join(s.text for s in found).split(), " ".join(text for _, _, text in expected).split()
    different = sum(a != b for a, b in zip(ours, whole, strict=False)) + abs(len(ours) - len(whole))
    assert different <= 0.02 * len(whole)
    assert [s.end for s in found][:3] == pytest.approx([end for _, end, _ in expected][:3], abs=0.05)
    assert found[-1].end <= len(audio) / 16000


def test_masked_batches_equal_single_clips(tiny: Loaded, speech: Path) -> None:
    """A model that is fed clips at their own length: padding inside a batch must not show."""
    session, tokenizer = tiny
    model = session.model
    before = model.config
    model.config = replace(before, padded=False)
    try:
        audios = [audio for audio, _ in clips(speech, "speechocean762", 4)]
        options = replace(PLAIN, max_tokens=30)
        together = decode_clips(session, tokenizer, audios, options)
        alone = [decode_clips(session, tokenizer, [audio], options)[0] for audio in audios]
    finally:
        model.config = before
    for one, other in zip(together, alone, strict=True):
        assert [s.tokens for s in one.segments] == [s.tokens for s in other.segments]
        for a, b in zip(one.segments, other.segments, strict=True):
            assert a.avg_logprob == pytest.approx(b.avg_logprob, abs=1e-3)


def test_beams_find_a_likelier_text_than_greedy_on_the_whole(tiny: Loaded, mixed: Any) -> None:
    session, tokenizer = tiny
    greedy = decode_clips(session, tokenizer, mixed[6:8], PLAIN)
    beams = decode_clips(session, tokenizer, mixed[6:8], replace(PLAIN, beam=5))

    def total(found: Any) -> float:
        return float(sum(one.segments[0].avg_logprob for one in found))

    assert total(beams) > total(greedy)


def test_language_is_detected(speech: Path) -> None:
    session, _ = load("base")
    english, mandarin = clips(speech, "librispeech-mini", 1)[0][0], clips(speech, "commonvoice-zh-cn", 1)[0][0]
    found = detect(session, encode_clips(session, [english, mandarin]), 2)
    assert likeliest(found) == ["en", "zh"]
    assert all(0.5 < max(one.values()) <= 1 for one in found)
    assert vote(session, [mandarin, mandarin[::-1].copy(), mandarin[: len(mandarin) // 2]]) == "zh"
    assert vote(session, [np.zeros(16000, np.float32)]) is None
