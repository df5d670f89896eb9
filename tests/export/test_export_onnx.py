"""What is exported says what the source says: padded batches, KV cache, every precision, widths that all differ."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from small_models import inputs, small_whisper

from secateur.base.errors import SecateurError
from secateur.base.files import sha256
from secateur.export.onnx import export_onnx
from secateur.export.parity import parity, source_steps
from secateur.export.precision import quantise, quantise_nibbles
from secateur.families.whisper.model import Whisper
from secateur.families.whisper.read_onnx import read_back
from secateur.runtime.contents import FILES, read_contents
from secateur.runtime.onnx_session import OnnxSession

torch.set_num_threads(1)


def steps(model: Whisper, session: OnnxSession, cuts: list[slice]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Logits of the source and of the export after each part of the same tokens, on a padded batch."""
    mel, frames, tokens = inputs(model)
    found = []
    with torch.no_grad():
        cache = model.encode(mel, frames)
        state = session.encode(mel.numpy(), frames.numpy())
        for cut in cuts:
            wanted = model.step(tokens[:, cut], cache).numpy()
            logits, state = session.step(tokens[:, cut].numpy(), state)
            found.append((wanted, logits))
    return found


CUTS = [slice(0, 2), slice(2, 3), slice(3, 4), slice(4, 7)]


def test_fp32_equals_the_source_at_every_step_of_a_padded_batch(tmp_path: Path) -> None:
    model, tokenizer = small_whisper()
    session = OnnxSession(export_onnx(model, tokenizer, tmp_path / "out", "fp32"), threads=1)
    for wanted, found in steps(model, session, CUTS):
        assert found.shape == (3, model.config.vocabulary) and found.dtype == np.float32
        np.testing.assert_allclose(found, wanted, atol=1e-4)
    assert session.config == model.config


def test_fp16_and_int8_stay_near(tmp_path: Path) -> None:
    model, tokenizer = small_whisper()
    for precision, tolerance in (("fp16", 0.02), ("int8", 0.5)):
        session = OnnxSession(export_onnx(model, tokenizer, tmp_path / precision, precision), threads=1)
        pairs = steps(model, session, CUTS)
        spread = pairs[0][0].std()
        worst = max(np.abs(found - wanted).max() for wanted, found in pairs)
        assert 0 < worst < tolerance and worst < 0.1 * spread, (precision, worst, spread)


def test_a_padded_row_equals_the_clip_alone(tmp_path: Path) -> None:
    model, tokenizer = small_whisper()
    session = OnnxSession(export_onnx(model, tokenizer, tmp_path / "out", "fp32"), threads=1)
    mel, frames, tokens = (x.numpy() for x in inputs(model))
    together, _ = session.step(tokens, session.encode(mel, frames))
    for row, count in enumerate(frames.tolist()):
        alone, _ = session.step(tokens[[row]], session.encode(mel[[row], :count], None))
        np.testing.assert_allclose(together[[row]], alone, atol=1e-4)


def test_the_tied_embedding_is_stored_once(tmp_path: Path) -> None:
    model, tokenizer = small_whisper()
    for precision, width in (("fp32", 4), ("fp16", 2), ("int8", 1)):
        graph = onnx.load(export_onnx(model, tokenizer, tmp_path / precision, precision) / "decoder.onnx").graph
        inputs = 64 if precision == "int8" else model.config.width  # whole blocks
        scales = 2 * model.config.vocabulary * (precision == "int8")
        tables = [w for w in graph.initializer if model.config.vocabulary in w.dims]
        assert sum(len(w.raw_data) for w in tables) == model.config.vocabulary * inputs * width + scales


def test_export_json_records_every_file(tmp_path: Path) -> None:
    model, tokenizer = small_whisper()
    folder = export_onnx(model, tokenizer, tmp_path / "out", "int8", check=lambda folder: {"seen": folder.is_dir()})
    contents = read_contents(folder)
    assert contents.precision == "int8" and contents.source == "small" and contents.parity == {"seen": True}
    assert set(contents.files) == set(FILES)
    for name, record in contents.files.items():
        assert record.bytes == (folder / name).stat().st_size and record.sha256 == sha256(folder / name)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"], "nothing temporary stays"


def test_a_failed_check_leaves_nothing_or_what_was_there(tmp_path: Path) -> None:
    model, tokenizer = small_whisper()

    def refuse(folder: Path) -> dict[str, Any]:
        raise SecateurError("no")

    with pytest.raises(SecateurError, match="no"):
        export_onnx(model, tokenizer, tmp_path / "out", "fp32", refuse)
    assert list(tmp_path.iterdir()) == []
    before = sha256(export_onnx(model, tokenizer, tmp_path / "out", "fp16") / "decoder.onnx")
    with pytest.raises(SecateurError, match="no"):
        export_onnx(model, tokenizer, tmp_path / "out", "fp32", refuse)
    assert sha256(tmp_path / "out" / "decoder.onnx") == before
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    export_onnx(model, tokenizer, tmp_path / "out", "fp32")
    assert read_contents(tmp_path / "out").precision == "fp32"


def test_refusals_say_what_is_wrong(tmp_path: Path) -> None:
    model, tokenizer = small_whisper()
    with pytest.raises(SecateurError, match="int8"):
        export_onnx(model, tokenizer, tmp_path / "out", "int9")
    (tmp_path / "model.safetensors").write_text("precious")
    with pytest.raises(SecateurError, match="holds other files"):
        export_onnx(model, tokenizer, tmp_path)
    assert (tmp_path / "model.safetensors").read_text() == "precious"
    model.decoder.vocabulary_mask = torch.ones(model.config.vocabulary, dtype=torch.bool)
    with pytest.raises(SecateurError, match="shrink"):
        export_onnx(model, tokenizer, tmp_path / "out")


def test_a_broken_model_is_not_exported(tmp_path: Path) -> None:
    model, tokenizer = small_whisper()
    with torch.no_grad():
        model.decoder.norm.weight[0] = torch.nan
    with pytest.raises(SecateurError, match="not finite"):
        export_onnx(model, tokenizer, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_parity_finds_a_changed_model(tmp_path: Path) -> None:
    model, tokenizer = small_whisper()
    session = OnnxSession(export_onnx(model, tokenizer, tmp_path / "out", "fp32"), threads=1)
    mels = [mel[:count].numpy() for mel, count in zip(*inputs(model)[:2], strict=True)]
    same = parity(source_steps(model, mels), session)
    assert same.max_difference < 1e-4 and same.agreement == 1 and same.clips_equal == same.clips == 3
    other, _ = small_whisper(seed=5)
    different = parity(source_steps(other, mels), session)
    assert different.max_difference > 1 and different.agreement < 0.9


def test_quantised_blocks_are_off_by_half_a_scale_at_most() -> None:
    weight = np.random.default_rng(0).standard_normal((150, 6)) * np.array([1e-3, 0.1, 1, 5, 100, 0])
    values, scale = quantise(weight)
    assert values.shape == (6, 3, 64) and scale.shape == (6, 3)
    back = ((values.astype(float) - 128) * scale[..., None]).reshape(6, -1)
    allowed = scale.repeat(64, 1)[:, :150] / 2
    assert (np.abs(back[:, :150].T - weight) <= 1.001 * allowed.T).all()
    assert (back[5] == 0).all() and (back[:, 150:] == 0).all()


def test_int8_rows_of_a_batch_do_not_touch_each_other(tmp_path: Path) -> None:
    model, tokenizer = small_whisper()
    session = OnnxSession(export_onnx(model, tokenizer, tmp_path / "out", "int8"), threads=1)
    mel, _, tokens = (x.numpy() for x in inputs(model))
    mel[1] *= 50
    together, state = session.step(tokens[:, :3], session.encode(mel, None))
    after, _ = session.step(tokens[:, 3:4], state)
    alone, state = session.step(tokens[:1, :3], session.encode(mel[:1], None))
    np.testing.assert_allclose(together[:1], alone, atol=1e-3)
    np.testing.assert_allclose(after[:1], session.step(tokens[:1, 3:4], state)[0], atol=1e-3)


def test_widths_in_export_json_survive_a_round_trip(tmp_path: Path) -> None:
    model, tokenizer = small_whisper()
    folder = export_onnx(model, tokenizer, tmp_path / "out")
    values = json.loads((folder / "config.json").read_text())
    assert [layer["attention"]["value"] for layer in values["encoder"]] == [6, 10, 7]


def test_four_bits_are_the_nearest_that_fit_and_the_graph_reads_them(tmp_path: Path) -> None:
    weight = np.random.default_rng(0).normal(size=(70, 9)).astype(np.float32)  # the last block is not full
    weight[:, 3] = 0
    packed, scale = quantise_nibbles(weight)
    assert packed.shape == (9, 3, 16) and packed.dtype == np.uint8
    pairs = np.stack([packed & 15, packed >> 4], -1).reshape(9, -1).astype(np.float32) - 8
    values = (pairs.reshape(9, 3, 32) * scale[..., None]).reshape(9, -1)[:, :70].T
    assert np.abs(values - weight).max() < 0.5 and not values[:, 3].any()
    assert np.sqrt(np.mean((values - weight) ** 2) / np.mean(weight**2)) < 0.1

    model, tokenizer = small_whisper()
    patterns = ("decoder.token_embedding", "decoder.layers.*.ffn.*")
    few = export_onnx(model, tokenizer, tmp_path / "few", "int8", nibbles=patterns)
    eight = export_onnx(model, tokenizer, tmp_path / "eight", "int8")
    assert (few / "decoder.onnx").stat().st_size < (eight / "decoder.onnx").stat().st_size
    rounded, _ = read_back(few)  # what four bits left of the weights: the graph must say what these say
    session = OnnxSession(few, threads=1)
    pairs_of = steps(rounded, session, CUTS)
    spread = pairs_of[0][0].std()
    assert max(np.abs(found - wanted).max() for wanted, found in pairs_of) < 0.1 * spread
    again = export_onnx(rounded, tokenizer, tmp_path / "again", "int8", nibbles=patterns)
    state = {name: value.numpy() for name, value in read_back(again)[0].state_dict().items()}
    for name, value in rounded.state_dict().items():
        np.testing.assert_allclose(state[name], value.numpy(), atol=0.02)
