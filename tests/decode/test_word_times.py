"""Words and when they were said: from attention, and from the frames of a CTC model."""

from __future__ import annotations

import difflib
from pathlib import Path

import numpy as np
import pytest
from small_models import inputs, small_tokenizer, small_whisper
from speech_clips import clips

from secateur.decode.alignment import monotonic, word_pieces, words_of
from secateur.decode.ctc.words import decode_frames
from secateur.decode.options import DecodingOptions
from secateur.runtime.onnx_session import OnnxSession
from secateur.runtime.recogniser import Recogniser
from secateur.text.units import Units


def test_rows_follow_a_diagonal_and_each_has_a_position() -> None:
    evidence = np.zeros((4, 12))
    for row, (start, end) in enumerate(((0, 3), (3, 4), (4, 9), (9, 12))):
        evidence[row, start:end] = 1
    assert monotonic(evidence).tolist() == [0, 3, 4, 9]
    assert monotonic(np.zeros((5, 3))).tolist() == [0, 1, 2]  # more rows than positions


def test_words_begin_at_spaces_and_punctuation_stays() -> None:
    tokenizer = small_tokenizer()
    ids = tokenizer.encode("the cat, then home")
    words = [tokenizer.decode(ids[a:b]) for a, b in word_pieces(ids, tokenizer.decode, "en")]
    assert words == [" the", " cat,", " then", " home"]


def test_characters_are_the_words_where_nobody_writes_spaces() -> None:
    tokenizer = small_tokenizer()
    ids = tokenizer.encode_exactly("你好,a")  # three bytes a character, a token each
    words = [tokenizer.decode(ids[a:b]) for a, b in word_pieces(ids, tokenizer.decode, "zh")]
    assert words == ["你", "好,", "a"]


def test_both_sessions_look_at_the_same_places(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    from secateur.export.onnx import export_onnx
    from secateur.models.device_session import TorchSession

    model, tokenizer = small_whisper()
    mel, frames, tokens = inputs(model)
    found = []
    for session in (TorchSession(model), OnnxSession(export_onnx(model, tokenizer, tmp_path / "m"), threads=1)):
        state = session.encode(mel.numpy(), frames.numpy())
        found.append(session.attention(tokens.numpy(), state))
    assert found[0].shape == (3, 5, 7, 45)
    np.testing.assert_allclose(found[0].sum(3), 1, atol=1e-5)
    assert found[0][2, :, :, 10:].max() == 0  # padding
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)


def test_frames_give_ctc_words_their_times_and_confidence() -> None:
    units = Units((" ", "a", "b"))
    path = [0, 2, 2, 0, 3, 0, 1, 1, 0, 2, 0, 0]  # "ab a"
    log_probs = np.log(np.full((12, 4), 0.1 / 3) + np.eye(4)[path] * (0.9 - 0.1 / 3))
    found = decode_frames(log_probs, units, 0.5, 0.04, "en", word_times=True)
    assert found is not None
    assert found.text == "ab a"
    assert [(w.text, w.start, w.end) for w in found.words] == [("ab", 0.04, 0.2), ("a", 0.36, 0.4)]
    assert [w.confidence for w in found.words] == pytest.approx([0.9, 0.9], abs=1e-3)
    assert decode_frames(log_probs[:1], units, 0.5, 0.04, "en", word_times=True) is None


def test_the_bundled_model_times_words_where_they_sound(speech: Path) -> None:
    recogniser = Recogniser.load(threads=1)
    options = DecodingOptions(word_times=True)
    audio = clips(speech, "librispeech-mini", 40)[3][0]
    alone = recogniser.transcribe(audio, options)
    assert " ".join(word.text for word in alone.words) == alone.text
    assert all(0 < word.confidence <= 1 for word in alone.words)
    starts = [word.start for word in alone.words]
    assert starts == sorted(starts)
    assert alone.words[-1].end <= alone.duration
    # Half a second of silence before it moves every word by as much.
    later = recogniser.transcribe(np.concatenate([np.zeros(8000, np.float32), audio]), options)
    texts = [[word.text for word in found.words] for found in (alone, later)]
    blocks = difflib.SequenceMatcher(None, *texts, autojunk=False).get_matching_blocks()
    pairs = [(alone.words[b.a + k], later.words[b.b + k]) for b in blocks for k in range(b.size)]
    assert len(pairs) > len(alone.words) / 2
    assert np.median([b.start - a.start for a, b in pairs]) == pytest.approx(0.5, abs=0.05)


def test_workers_and_batches_change_no_text(speech: Path) -> None:
    audios = [audio for audio, _ in clips(speech, "speechocean762", 6)]
    one, two = Recogniser.load(threads=1), Recogniser.load(workers=2)
    assert [t.text for t in two.transcribe_batch(audios)] == [one.transcribe(audio).text for audio in audios]


def test_a_word_is_less_sure_where_noise_covers_it(speech: Path) -> None:
    recogniser = Recogniser.load(threads=1)
    audio = clips(speech, "librispeech-mini", 40)[3][0][: 8 * 16000]
    noise = 0.1 * np.random.default_rng(0).standard_normal(len(audio)).astype(np.float32)
    clear, covered = (recogniser.transcribe(a).confidence for a in (audio, audio + noise))
    assert clear is not None
    assert covered is None or covered < clear


def test_long_recordings_have_words_in_order(speech: Path) -> None:
    long = np.concatenate([audio for audio, _ in clips(speech, "librispeech-mini", 40)[1:4]])
    found = Recogniser.load(threads=1).transcribe(long, DecodingOptions(word_times=True))
    assert len(found.segments) > 1
    assert " ".join(word.text for word in found.words).split() == found.text.split()
    starts = [word.start for word in found.words]
    assert starts == sorted(starts)
    assert starts[-1] > found.segments[-1].start > 10


def test_no_word_is_spoken_over_a_pause() -> None:
    tokenizer = small_tokenizer()
    ids = tokenizer.encode("she had it")
    loud = np.repeat([True, False, True, False, True], [60, 100, 20, 90, 60])  # of 10 ms each
    after = [k for k, i in enumerate(ids) if tokenizer.decode([i]).startswith(" ")]
    assert len(after) == 3
    borders = np.interp(np.arange(len(ids) + 1), [*after, len(ids)], [0.5, 2.75, 2.9, 3.3])
    words = [word for _, word in words_of(ids, borders, [-0.1] * len(ids), tokenizer, "en", loud)]
    assert [word.text for word in words] == ["she", "had", "it"]
    assert (words[0].start, words[0].end) == (1.6, 1.8)  # not from 0.5, the end of what was said before the pause
    assert words[1].start >= 2.7 and words[2].end == 3.3
