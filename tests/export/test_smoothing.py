"""Evened-out inputs compute the same and lose less to bytes; an export read back; the precision that dev picks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_models import small_whisper
from speech_clips import clips

from secateur.base.errors import SecateurError
from secateur.cli import main
from secateur.export.calibration import calibrate
from secateur.export.job import ErrorRateError, ErrorRateGate, export_checked
from secateur.export.onnx import export_onnx
from secateur.export.precision import quantise_columns
from secateur.export.smoothing import scales
from secateur.families.whisper.graph import EXPORTER, scalings
from secateur.families.whisper.model import Whisper
from secateur.families.whisper.read_onnx import read_back
from secateur.features.whisper import log_mel
from secateur.models.checkpoint import save_checkpoint
from secateur.runtime.contents import FILES, find_model
from secateur.runtime.onnx_session import OnnxSession

torch.set_num_threads(1)


def noise(*lengths: int) -> list[np.ndarray]:  # type: ignore[type-arg]
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(count, 80, generator=generator).numpy() for count in lengths]


@torch.no_grad()
def towering(model: Whisper, factor: float) -> Whisper:
    """The same function with one channel of everything that is read `factor` times as large."""
    state = model.state_dict()
    for place in scalings(model.config):
        for name in (f"{place.writer}.weight", f"{place.writer}.bias"):
            if name in state:
                state[name][1] *= factor
        for reader in place.readers:
            state[f"{reader}.weight"][:, 1] /= factor
    return model


def lost(model: Whisper, exported: Whisper, mels: list[Any], precision: str, folder: Path) -> float:
    """How far the export's cross keys and values are from the model's: the norm of the difference over theirs."""
    tokenizer = small_whisper()[1]
    ranges = calibrate(EXPORTER.observed(exported), mels)
    session = OnnxSession(export_onnx(exported, tokenizer, folder, precision, trial=False, ranges=ranges), threads=1)
    away = size = 0.0
    for mel in mels:
        audio = session.encode(mel[None], None).audio
        with torch.no_grad():
            layers = model.encode(torch.from_numpy(mel)[None]).layers
        for i, layer in enumerate(layers):
            for kind, right in (("keys", layer.cross_keys), ("values", layer.cross_values)):
                away += float(((audio[f"cross_{kind}_{i}"] - right.numpy()) ** 2).sum())
                size += float((right**2).sum())
    return float(np.sqrt(away / size))


def test_channels_that_tower_are_evened_out_and_nothing_else_changes(tmp_path: Path) -> None:
    model = small_whisper()[0]
    mels = noise(90, 57)
    towers = towering(small_whisper()[0], 64.0)
    even = EXPORTER.smoothed(towers, mels)
    for mel in mels:
        x = torch.from_numpy(mel)[None]
        with torch.no_grad():
            for ours, theirs in zip(model.encode(x).layers, even.encode(x).layers, strict=True):
                torch.testing.assert_close(ours.cross_keys, theirs.cross_keys, atol=2e-4, rtol=1e-3)
                torch.testing.assert_close(ours.cross_values, theirs.cross_values, atol=2e-4, rtol=1e-3)
    for precision in ("int8-static", "int8-dynamic"):
        rough = lost(model, towers, mels, precision, tmp_path / f"rough-{precision}")
        fine = lost(model, even, mels, precision, tmp_path / f"fine-{precision}")
        assert 3 * fine < rough, (precision, fine, rough)
        assert fine < 0.05


def test_real_weights_on_real_speech_lose_less(tiny_en_model: Any, speech: Path, tmp_path: Path) -> None:
    model, _ = tiny_en_model
    mels = [log_mel(audio, model.config.front_end) for audio, _ in clips(speech, "speechocean762", 2, "dev")]
    even = EXPORTER.smoothed(model, mels)
    rough, fine = (lost(model, m, mels, "int8-static", tmp_path / n) for m, n in ((model, "rough"), (even, "fine")))
    assert fine < 0.8 * rough, (fine, rough)


def test_scales_share_the_spread_between_inputs_and_weights() -> None:
    inputs, weights = np.array([1.0, 100.0, 0.0]), np.array([1.0, 1.0, 0.0])
    s = scales(inputs, weights, 0.5)
    assert s[1] / s[0] == pytest.approx(10)
    assert np.isfinite(s).all()
    assert (s > 0).all()


def test_no_two_products_saturate_and_columns_use_what_they_may() -> None:
    weight = np.random.default_rng(0).standard_normal((97, 50))
    weight[4:6, 0] = 5.0, 5.0  # two neighbours that are large at once
    weight[6:8, 1] = 5.0, -5.0
    values, scale = quantise_columns(weight)
    assert np.abs(values * scale - weight).max() <= 0.5001 * scale.max()
    wide = np.pad(values.astype(np.int64), ((0, 1), (0, 0))).reshape(-1, 2, 50)
    for sign in (1, -1):  # bytes of inputs go up to 255, of either neighbour alone too
        assert (255 * np.maximum(sign * wide, 0).sum(1)).max() < 2**15
    largest = np.abs(values).max(0)
    assert largest[0] <= 64
    assert largest[1] == 127
    assert largest.mean() > 75


@pytest.mark.parametrize("precision", ["fp32", "int8", "int8-dynamic"])
def test_what_is_read_back_is_what_was_written(precision: str, tmp_path: Path) -> None:
    model, tokenizer = small_whisper()
    first = export_onnx(model, tokenizer, tmp_path / "first", precision)
    back, codec = read_back(first)
    assert codec.decode(tokenizer.encode(" the cat")) == " the cat"
    for (name, ours), theirs in zip(model.state_dict().items(), back.state_dict().values(), strict=True):
        allowed = {"fp32": 1e-6}.get(precision, 0.01 * float(ours.abs().max()))
        torch.testing.assert_close(theirs, ours, atol=allowed, rtol=0, msg=name)
    again = export_onnx(back, codec, tmp_path / "again", precision)
    mel = noise(60)[0][None]
    ours, theirs = (OnnxSession(folder, threads=1).encode(mel, None).audio for folder in (first, again))
    for name in ours:
        np.testing.assert_allclose(theirs[name], ours[name], atol=0.02 * max(np.abs(ours[name]).max(), 1), err_msg=name)


def test_the_bundled_model_is_read_back(speech: Path, tmp_path: Path) -> None:
    model, tokenizer = read_back(find_model(None))
    folder = export_onnx(model, tokenizer, tmp_path / "again", "int8", trial=False)
    mel = log_mel(clips(speech, "speechocean762", 4, "dev")[0][0], model.config.front_end)[None]
    ours, theirs = (OnnxSession(path, 1).encode(mel, None).audio for path in (find_model(None), folder))
    for name in (name for name in ours if name.startswith("cross")):
        apart = np.linalg.norm(ours[name] - theirs[name]) / np.linalg.norm(ours[name])
        assert apart < 0.1, (name, apart)  # the bundled encoder rounds its inputs too
    assert set(FILES) < {path.name for path in folder.iterdir()}


@pytest.fixture
def dev(speech: Path, tmp_path: Path) -> Path:
    """A manifest of one real clip."""
    line = json.loads((speech / "librispeech-mini" / "dev.jsonl").read_text().splitlines()[3])
    line["audio"] = str(speech / "librispeech-mini" / line["audio"])
    path = tmp_path / "dev.jsonl"
    path.write_text(json.dumps(line) + "\n")
    return path


def test_dev_picks_the_fastest_that_keeps_the_error_rate(
    dev: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = save_checkpoint(tmp_path / "model", *small_whisper())
    words = ["export", str(model), "--out", str(tmp_path / "out"), "--precision", "auto", "--json"]
    assert main(words) == 2
    assert "--dev" in capsys.readouterr().err
    words += ["--dev", str(dev), "--tolerance", "1000"]
    assert main([*words, "--calibrate", str(dev)]) == 0
    assert json.loads(capsys.readouterr().out)["precision"] == "int8-static"
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["precision"] == "int8-dynamic"
    with pytest.raises(ErrorRateError, match="choose another"):  # a thousand points better than the source: none
        export_checked(*small_whisper(), tmp_path / "none", "auto", gate=ErrorRateGate(dev, tolerance=-1000))
    said = capsys.readouterr().err
    assert "int8-dynamic: the export's error rate" in said
    assert "int8-static" not in said
    assert not (tmp_path / "none").exists()


def test_only_a_whisper_is_read_back(tmp_path: Path) -> None:
    with pytest.raises(SecateurError, match="no such model folder"):
        read_back(tmp_path / "nothing")
