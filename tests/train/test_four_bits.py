"""What training rounds to is what an export stores in four bits, with and without pruned inputs, on both sides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from small_models import inputs, small_whisper

from secateur.base.errors import SecateurError
from secateur.export.onnx import export_onnx
from secateur.export.precision import nibbles_to_floats, quantise_nibbles
from secateur.families.whisper.read_onnx import read_back
from secateur.runtime.onnx_session import OnnxSession
from secateur.train.four_bits import FourBitTraining, fake_quantise

PATTERNS = ("encoder.layers.*", "decoder.layers.*", "decoder.token_embedding")


def as_stored(weight: torch.Tensor) -> np.ndarray:
    """(out, in) as the export gives it back."""
    values, scale = quantise_nibbles(weight.numpy().T)
    return nibbles_to_floats(values, scale, weight.T.shape).T


@pytest.mark.parametrize("shape", [(48, 64), (40, 70), (3, 5), (1, 33)])
def test_the_grid_is_the_export_s_and_stays(shape: tuple[int, int]) -> None:
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    rounded = fake_quantise(weight)
    np.testing.assert_allclose(rounded.numpy(), as_stored(weight), atol=1e-6)
    np.testing.assert_allclose(as_stored(rounded), rounded.numpy(), atol=1e-6)  # nothing more is lost
    np.testing.assert_allclose(as_stored(rounded.half().float()), rounded.numpy(), rtol=1e-3, atol=1e-6)
    assert 0 < (rounded - weight).square().mean() < 0.01


def test_blocks_are_those_of_the_network_that_pruning_leaves() -> None:
    weight = torch.randn(16, 80, generator=torch.Generator().manual_seed(2))
    kept = [i for i in range(80) if i % 5]
    weight[:, ::5] = 0
    assert (fake_quantise(weight)[:, ::5] == 0).all()
    torch.testing.assert_close(fake_quantise(weight)[:, kept], fake_quantise(weight[:, kept]))


def test_passes_read_the_grid_and_gradients_move_the_weights_behind() -> None:
    model, _ = small_whisper()
    grid = FourBitTraining(model, PATTERNS, 0.5)
    weight = model.encoder.layers[0].ffn.up.weight
    before = weight.detach().clone()
    grid.before_forward(4, 10)
    assert torch.equal(weight, before)  # not yet
    grid.before_forward(5, 10)
    grid.before_forward(5, 10)  # a second micro-batch
    torch.testing.assert_close(weight.detach(), fake_quantise(before))
    model(*inputs(model)).square().mean().backward()
    grid.after_backward(5, 10)
    assert torch.equal(weight, before) and weight.grad is not None and weight.grad.abs().sum() > 0
    grid.project(dict(model.named_parameters()))
    assert torch.equal(weight, before)
    average = {n: p.detach().clone() for n, p in model.named_parameters()}
    grid.project(average)
    torch.testing.assert_close(average["encoder.layers.0.ffn.up.weight"], fake_quantise(before))
    with pytest.raises(SecateurError, match="no matrix of the model is named nothing"):
        FourBitTraining(model, ("nothing",), 0.5)


@pytest.mark.parametrize("precision", ["int8", "int8-dynamic"])
def test_an_export_of_weights_on_the_grid_loses_only_what_its_arithmetic_does(precision: str, tmp_path: Path) -> None:
    model, tokenizer = small_whisper()
    grid = FourBitTraining(model, PATTERNS, 0.5)
    values = {n: p.detach().clone() for n, p in model.named_parameters()}
    grid.project(values)
    model.load_state_dict(values, strict=False)
    folder = export_onnx(model, tokenizer, tmp_path / precision, precision, nibbles=PATTERNS)
    eight = export_onnx(model, tokenizer, tmp_path / "eight", precision)
    assert sum((folder / f).stat().st_size for f in ("encoder.onnx", "decoder.onnx")) < sum(
        (eight / f).stat().st_size for f in ("encoder.onnx", "decoder.onnx")
    )
    session = OnnxSession(folder, threads=1)
    mel, frames, tokens = inputs(model)
    with torch.no_grad():
        expected = model.step(tokens, model.encode(mel, frames)).numpy()
    logits, _ = session.step(tokens.numpy(), session.encode(mel.numpy(), frames.numpy()))
    reference, _ = OnnxSession(eight, threads=1).step(
        tokens.numpy(), OnnxSession(eight, threads=1).encode(mel.numpy(), frames.numpy())
    )
    assert np.abs(logits - expected).mean() < 2.0 * np.abs(reference - expected).mean() + 1e-3
    back, _ = read_back(folder)
    for name, value in back.named_parameters():
        if name.startswith("encoder.layers") and value.dim() == 2:
            torch.testing.assert_close(value.detach(), values[name], rtol=1e-3, atol=1e-4)
