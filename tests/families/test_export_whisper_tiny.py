"""OpenAI's tiny.en on real recordings: the fp32 export is the model, the smaller ones stay near."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from secateur.audio.read import read_audio
from secateur.export.onnx import export_onnx
from secateur.export.parity import parity, source_steps
from secateur.families.whisper.model import Whisper
from secateur.features.whisper import log_mel
from secateur.models.checkpoint import load_checkpoint
from secateur.runtime.onnx_session import OnnxSession
from secateur.text.tokenizer import Tokenizer
from secateur.weights.transformers_layout import read_transformers

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def tiny(tiny_en: Path) -> tuple[Whisper, Tokenizer]:
    values = json.loads((tiny_en / "config.json").read_text())
    return load_checkpoint(tiny_en) if "family" in values else read_transformers(tiny_en)


@pytest.fixture(scope="module")
def mels(speech: Path, tiny: tuple[Whisper, Tokenizer]) -> list[np.ndarray]:
    """One clip padded to 30 s, as the model was trained to hear them, and two cut to their length."""
    front_end = tiny[0].config.front_end
    folder = speech / "speechocean762"
    lines = (folder / "test.jsonl").read_text().splitlines()[10:460:150]
    first, *rest = [read_audio(folder / json.loads(line)["audio"], front_end.sample_rate) for line in lines]
    padded = np.pad(first, (0, 480000 - len(first)))
    return [log_mel(padded, front_end)[:3000], *[log_mel(audio, front_end) for audio in rest]]


# OpenAI published fp16, so storing fp16 again loses nothing.
@pytest.mark.parametrize(
    ("precision", "difference", "agreement", "megabytes"),
    [("fp32", 1e-4, 1.0, 155), ("fp16", 1e-3, 1.0, 80), ("int8", 2.5, 0.9, 43)],
)
def test_real_speech(
    tmp_path: Path, tiny: tuple[Whisper, Tokenizer], mels: list[np.ndarray],
    precision: str, difference: float, agreement: float, megabytes: float,
) -> None:  # fmt: skip
    folder = export_onnx(*tiny, tmp_path / "out", precision)
    size = sum(path.stat().st_size for path in folder.iterdir())
    assert size < megabytes * 1e6
    found = parity(source_steps(tiny[0], mels, limit=16), OnnxSession(folder, threads=1))
    assert found.steps >= 15
    assert found.max_difference < difference
    assert found.agreement >= agreement
