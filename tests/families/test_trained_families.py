"""Every CTC family of `transformers` learns from real speech for a few steps: masked equals shrunk, and ONNX torch."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
onnxruntime = pytest.importorskip("onnxruntime")
from small_hf import hf_folder  # noqa: E402
from small_parakeet import parakeet_folder  # noqa: E402

from secateur.audio.read import read_audio  # noqa: E402
from secateur.data.manifest import read_manifest  # noqa: E402
from secateur.export.onnx import export_onnx  # noqa: E402
from secateur.features.front_end import extractor  # noqa: E402
from secateur.prune.shrink import mask, shrink  # noqa: E402
from secateur.weights.fetch import read_foreign  # noqa: E402

Batch = tuple[Any, Any]
STEPS = 8


def learnt(folder: Path, speech: Path) -> tuple[Any, Any, Batch, list[float]]:
    """The model of a folder after some steps on six clips, its text codec, their features, and the losses."""
    clips = [u for u in read_manifest(speech / "free-spoken-digits" / "train.jsonl") if u.duration > 0.3][::500][:6]
    sounds = [read_audio(u.audio, 16000) for u in clips]
    audio = torch.zeros(len(sounds), max(map(len, sounds)))
    for row, sound in zip(audio, sounds, strict=True):
        row[: len(sound)] = torch.from_numpy(sound)
    model, text = read_foreign(folder)
    features, frames = extractor(model.config.front_end)(audio, torch.tensor([len(s) for s in sounds]))
    targets = [text.encode(u.text) for u in clips]
    flat, sizes = torch.tensor([unit for row in targets for unit in row]), torch.tensor([len(t) for t in targets])
    optimiser, losses = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], 2e-3), []
    model.train()
    for _ in range(STEPS):
        log_probs, short = model(features, frames)
        loss = torch.nn.functional.ctc_loss(log_probs.transpose(0, 1), flat, short, sizes, zero_infinity=True)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return model.eval(), text, (features, frames), losses


def heard(model: Any, batch: Batch) -> np.ndarray:
    """All real frames of the batch's answers, in one column of rows."""
    with torch.no_grad():
        log_probs, frames = model(*batch)
    return torch.cat([row[:count] for row, count in zip(log_probs, frames.tolist(), strict=True)]).numpy()


@pytest.mark.parametrize("kind", ["wav2vec2", "hubert", "wavlm", "conformer", "conformer rotary", "parakeet"])
def test_masked_equals_shrunk_equals_onnx(kind: str, speech: Path, tmp_path: Path) -> None:
    (parakeet_folder if kind == "parakeet" else hf_folder)(kind, tmp_path / "hf")
    model, text, batch, losses = learnt(tmp_path / "hf", speech)
    assert losses[-1] < losses[0]
    assert not any(p.grad is None for n, p in model.named_parameters() if "self_attn" in n or "attention" in n)
    random = torch.Generator().manual_seed(3)
    plan = {}
    for group in model.groups():
        stay = max(group.minimum, group.units - 1 if group.kind == "layer" else group.units // 2)
        plan[group.name] = sorted(torch.randperm(group.units, generator=random)[:stay].tolist())
    masked = copy.deepcopy(model)
    mask(masked, plan)
    small, wanted = shrink(model, plan), heard(masked, batch)
    assert np.abs(wanted - heard(model, batch)).max() > 1e-2  # it mattered
    assert np.abs(heard(small, batch) - wanted).max() < 1e-5
    export_onnx(small, text, tmp_path / "onnx", "fp32")
    session = onnxruntime.InferenceSession(tmp_path / "onnx" / "network.onnx")
    log_probs, counts = session.run(None, {"features": batch[0].numpy(), "frames": batch[1].numpy()})
    got = np.concatenate([row[:count] for row, count in zip(log_probs, counts, strict=True)])
    assert np.abs(got - wanted).max() < 1e-4
