"""Batches that stay on the device give the texts, probabilities and samples of those that do not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from small_models import small_whisper  # noqa: E402

import secateur  # noqa: E402
from secateur.data.manifest import Utterance, read_manifest, write_manifest  # noqa: E402
from secateur.decode.options import DecodingOptions  # noqa: E402
from secateur.decode.session import DeviceDecoder  # noqa: E402
from secateur.models.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402
from secateur.models.device_session import DeviceSession, TorchSession  # noqa: E402
from secateur.runtime.bulk import run as job  # noqa: E402
from secateur.runtime.bulk.run import BulkSettings, transcribe_all  # noqa: E402
from secateur.runtime.bulk.worker import PieceWorker, Readers, ReadPlan, TranscribeSpec, parts_of, read  # noqa: E402  # noqa: E402
from secateur.runtime.token_recogniser import WhisperRecogniser  # noqa: E402

DEV = Path(secateur.__file__).parent / "data" / "bundled" / "dev.jsonl"


def both(padded: bool, rows: int) -> tuple[WhisperRecogniser, WhisperRecogniser]:
    model, tokenizer = small_whisper()
    model.config = type(model.config)(**{**model.config.__dict__, "padded": padded})
    device = DeviceSession(model, rows)
    assert isinstance(device, DeviceDecoder) and not isinstance(TorchSession(model), DeviceDecoder)
    return WhisperRecogniser(TorchSession(model), tokenizer), WhisperRecogniser(device, tokenizer)


def sounds() -> list[Any]:
    random = np.random.default_rng(3)
    return [(0.2 * random.standard_normal(n)).astype(np.float32) for n in (9000, 17000, 4000, 18000, 12000, 9100, 700)]


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("rows", [1, 3, 16])
def test_greedy_and_sampled_texts_are_the_same(padded: bool, rows: int) -> None:
    """Untrained weights give doubtful texts: every temperature is tried."""
    usual, device = both(padded, rows)
    for options in (
        DecodingOptions(vad="off", temperatures=(0.0,), max_tokens=24),
        DecodingOptions(
            vad="off", temperatures=(0.0, 0.6, 1.0), log_prob_threshold=-0.01, best_of=3, seed=5, max_tokens=20
        ),
        DecodingOptions(vad="off", temperatures=(0.4,), best_of=1, max_tokens=9),
    ):
        one, other = usual.transcribe_batch(sounds(), options), device.transcribe_batch(sounds(), options)
        assert [t.text for t in one] == [t.text for t in other]
        assert any(t.text for t in one)
        for a, b in zip(one, other, strict=True):
            for s, t in zip(a.segments, b.segments, strict=True):
                assert s.tokens == t.tokens and s.temperature == t.temperature
                np.testing.assert_allclose(s.log_probs, t.log_probs, atol=2e-3)


def test_beams_go_through_the_usual_search() -> None:
    usual, device = both(False, 4)
    options = DecodingOptions(vad="off", beam=3, temperatures=(0.0,), max_tokens=12)
    assert [t.text for t in usual.transcribe_batch(sounds(), options)] == [
        t.text for t in device.transcribe_batch(sounds(), options)
    ]


def test_whole_sets_with_processes_that_read(tiny_en: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a GPU does, here on a CPU: pieces are read ahead by processes, a clip that breaks decoding is listed."""
    model, tokenizer = load_checkpoint(tiny_en)
    save_checkpoint(tmp_path / "model", model, tokenizer)
    clips = read_manifest(DEV)[:5]
    (tmp_path / "bad.wav").write_bytes(b"no sound")
    write_manifest(
        tmp_path / "in.jsonl", [*clips[:2], replace(clips[2], id="bad", audio=tmp_path / "bad.wav"), *clips[2:]]
    )
    expected = WhisperRecogniser(TorchSession(model), tokenizer).transcribe_batch([c.audio for c in clips])
    made: list[PieceWorker] = []

    def worker(spec: TranscribeSpec) -> PieceWorker:
        made.append(PieceWorker(replace(spec, device="cpu", readers=1)))
        recogniser = made[-1].recogniser
        recogniser.session = DeviceSession(recogniser.session.model, 4)  # type: ignore[attr-defined]
        usual = recogniser.decode_group

        def breaking(audios: Any, options: Any) -> Any:
            if any(len(audio) == broken for audio in audios):
                raise RuntimeError("a kernel failed")
            return usual(audios, options)

        broken = made[-1].begin(job.Piece(0, (clips[4],)))[0].result()[0][0].windows[0].samples  # type: ignore[union-attr, index]
        recogniser.decode_group = breaking  # type: ignore[method-assign]
        return made[-1]

    monkeypatch.setattr(job, "make_worker", worker)
    out = tmp_path / "out.jsonl"
    done = transcribe_all([str(tmp_path / "in.jsonl")], TranscribeSpec(str(tmp_path / "model"), device="cuda"), out,
                          BulkSettings(gpu_piece_clips=3))  # fmt: skip
    assert (done["heard"], done["failed"], done["pieces"]) == (4, 2, 2)
    assert [u.text for u in read_manifest(out)] == [t.text for t in expected[:4]]
    problems = (tmp_path / "out.failed.jsonl").read_text()
    assert "RuntimeError: a kernel failed" in problems and "not audio but text" in problems


def test_long_recordings_are_read_one_by_one() -> None:
    clips = [Utterance(str(i), Path("/a"), seconds) for i, seconds in enumerate((5, 5, 600, 600, 50, 50, 50, 0, 0))]
    assert [[u.id for u in part] for part in parts_of(clips)] == [["0", "1"], ["2"], ["3"], ["4", "5"], ["6", "7", "8"]]
    assert [len(part) for part in parts_of([Utterance("a", Path("/a"), 1.0)] * 40)] == [16, 16, 8]


def test_readers_give_what_reading_here_gives() -> None:
    clips = read_manifest(DEV)[:3]
    how = ReadPlan(16000, None, DecodingOptions(), 16000 * 30, None)
    here = read(clips, how)
    readers = Readers(how, 0)
    (future,) = readers.begin(clips)
    for one, other in zip(here, future.result(), strict=True):
        assert one[0].windows == other[0].windows  # type: ignore[union-attr]
        np.testing.assert_array_equal(one[0].samples, other[0].samples)  # type: ignore[union-attr]
    readers.close()
