"""Inputs pruned in a whole job: trained with a teacher that hears more, saved, exported, heard by the runtime."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("kaldialign")

from small_models import small_whisper, transcribe_texts  # noqa: E402

from secateur.base.errors import SecateurError  # noqa: E402
from secateur.cli import main  # noqa: E402
from secateur.data.job import JobData  # noqa: E402
from secateur.data.manifest import read_manifest, write_manifest  # noqa: E402
from secateur.evaluate.decoded import PLAIN  # noqa: E402
from secateur.export.onnx import export_onnx  # noqa: E402
from secateur.families.ctc.model import CtcModel  # noqa: E402
from secateur.families.ctc.new_model import digits_ctc  # noqa: E402
from secateur.models.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402
from secateur.prune.settings import PruneSettings  # noqa: E402
from secateur.runtime.recogniser import Recogniser  # noqa: E402
from secateur.study.arm import ArmSettings, run_arm  # noqa: E402
from secateur.study.settings import arm_settings, read_study  # noqa: E402
from secateur.text.units import characters_of  # noqa: E402
from secateur.train.settings import TrainSettings  # noqa: E402

WHOLE = {"vocabulary": False, "audio_seconds": None, "text_tokens": None}
TRAIN = TrainSettings(steps=8, batch_seconds=8.0, learning_rate=2e-3, ema=0.0, validate_every=100.0)


def test_what_was_cut_is_heard_by_the_runtime(speech: Path, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    model, tokenizer = small_whisper()
    clips = [u for u in read_manifest(speech / "free-spoken-digits" / "train.jsonl") if 0.3 < u.duration < 0.8]
    data = JobData(training=clips[:40], rehearsal=clips[40:60], dev=clips[60:70], tests={})
    prune = PruneSettings(
        remove=None, amounts={"mel": 0.5, "encoder.layers.*.ffn": 0.25}, sample_rate=8000, frame_shift_ms=15,
        every=2, begin=0.1, end=0.6, **WHOLE,
    )  # fmt: skip
    run_arm(ArmSettings("cut", TRAIN, prune), model, tokenizer, data, tmp_path / "cut", model)
    small, text = load_checkpoint(tmp_path / "cut")
    front = small.config.front_end
    assert (front.sample_rate, front.hop, front.window) == (8000, 120, 200)
    assert front.inputs == small.encoder.conv1.in_channels == 61 - 30
    assert json.loads((tmp_path / "cut" / "metrics.jsonl").read_text().splitlines()[-1])["loss"] > 0
    exported = export_onnx(small, text, tmp_path / "exported")
    recogniser = Recogniser.load(exported, threads=1)
    assert recogniser.sample_rate == 8000
    heard = [t.text for t in recogniser.transcribe_batch([u.audio for u in data.dev], PLAIN)]
    texts = transcribe_texts(small, text, data.dev)
    assert np.mean([a == b for a, b in zip(heard, texts, strict=True)]) >= 0.9 and any(texts)


def test_a_shift_that_leaves_no_room_for_the_text_is_refused(speech: Path, tmp_path: Path) -> None:
    clips = read_manifest(speech / "free-spoken-digits" / "train.jsonl")[:20]
    clips = [replace(u, text="fifteen letters") for u in clips]  # in half a second
    units = characters_of(u.text for u in clips)
    model = CtcModel(digits_ctc(units.outputs))
    slow = ArmSettings("slow", TRAIN, PruneSettings(remove=None, frame_shift_ms=25.0))
    data = JobData(training=clips, dev=clips[:4], tests={})
    with pytest.raises(SecateurError, match="too few outputs for their text"):
        run_arm(slow, model, units, data, tmp_path / "slow")


def test_once_without_training_from_the_command_line(
    speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, tokenizer = small_whisper()
    save_checkpoint(tmp_path / "model", model, tokenizer)
    clips = [u for u in read_manifest(speech / "free-spoken-digits" / "train.jsonl") if 0.3 < u.duration < 0.8]
    known, others = ([u for u in clips if (u.text in ("zero", "one", "two")) is yes] for yes in (True, False))
    for name, part in (("train", known[:24]), ("dev", known[24:28]), ("test", others[:6])):
        write_manifest(tmp_path / f"{name}.jsonl", part)
    (tmp_path / "cut.toml").write_text('[prune.amounts]\n"encoder.mel" = 0.3\n')
    words = ["prune", "--one-shot", "--model", str(tmp_path / "model"), "--config", str(tmp_path / "cut.toml")]
    words += [x for n in ("train", "dev", "test") for x in (f"--{n}", str(tmp_path / f"{n}.jsonl"))]
    words += ["--same-speakers", "--prune.vocabulary", "no", "--prune.audio-seconds", "none"]
    words += ["--prune.text-tokens", "none"]
    words += ["--prune.remove", "none", "--out", str(tmp_path / "out"), "--device", "cpu"]
    assert main([*words, "--prune.sample-rate", "12000", "--prune.frame-shift-ms", "20"]) == 0
    small, _ = load_checkpoint(tmp_path / "out")
    front = small.config.front_end
    assert (front.sample_rate, front.frame_ms, front.inputs) == (12000, 20.0, 72 - 22)
    assert main([*words[:-4], "--out", str(tmp_path / "other"), "--device", "cpu", "--prune.sample-rate", "48000"]) == 2
    assert "48000 Hz is not below the model's 16000 Hz" in capsys.readouterr().err


def test_the_study_of_inputs_is_whole() -> None:
    path = Path(__file__).resolve().parents[2] / "experiments" / "study" / "inputs.toml"
    study = read_study(path)
    assert {"dense", "mel-40", "rate-8k", "hop-20", "gates-40"} <= set(study.arms)
    settings = arm_settings(study, "joint-40", 0)
    assert settings.prune is not None and settings.prune.amounts["encoder.mel"] == 0.6
