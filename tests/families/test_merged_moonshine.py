"""Frames merged inside Moonshine's encoder keep the positions that its queries and keys rotate by."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from small_models import random_units, small_tokenizer

from secateur.cli import main
from secateur.export.onnx import export_onnx
from secateur.families.moonshine.config import uniform
from secateur.families.moonshine.cost import count_parameters, macs_by_part
from secateur.families.moonshine.model import Moonshine
from secateur.models.checkpoint import load_checkpoint, save_checkpoint
from secateur.models.device_session import TorchSession
from secateur.prune.inputs import with_merged_frames
from secateur.prune.shrink import mask, shrink
from secateur.runtime.onnx_session import OnnxSession
from secateur.text.tokens import Tokens

LENGTHS = (16000, 9003, 1500)  # samples: 40, 22 and 2 positions
CASES = [
    (("0:2",), "mean"),
    (("input:2", "2:3"), "learned"),
    (("0:1.5", "1:1.3"), "similar"),
    (("input:2",), "similar"),
]


@cache
def dense() -> Moonshine:
    torch.manual_seed(0)
    end = small_tokenizer().end
    model = Moonshine(
        uniform(
            width=24, heads=4, queries=2, ffn=28, encoder_layers=3, decoder_layers=2, vocabulary=end + 2, rotary=4,
            tokens=Tokens(start=end + 1, end=end), text_context=16,
        )
    )  # fmt: skip
    for parameter in model.parameters():
        parameter.data += 0.15 * torch.randn_like(parameter)
    return model.eval()


def merging(merges: tuple[str, ...], kind: str) -> Moonshine:
    small = with_merged_frames(dense(), merges, kind)
    for name, weight in small.named_parameters():
        if ".merges." in name:  # as if trained: no means any more
            weight.data += 0.2 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(3))
    return small.eval()


def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    samples = 0.3 * torch.randn(3, LENGTHS[0], 1, generator=generator)
    return samples, torch.tensor(LENGTHS), torch.randint(0, dense().config.tokens.end, (3, 5), generator=generator)


@torch.no_grad()
def test_equal_to_a_network_that_attends_to_every_copy_at_the_same_position() -> None:
    """Softmax over copies is softmax over one of them, where the copies stand at one position."""
    model, small = dense(), merging(("0:2",), "mean")
    samples = batch()[0]  # 40 positions: every window is whole
    x, _ = model.encoder.embed(samples, None, model.dropout)
    x, _, _ = model.encoder.stage(1, x, None, model.dropout)
    x = x.unflatten(1, (-1, 2)).mean(2).repeat_interleave(2, 1)
    pairs = torch.arange(x.shape[1])[None] // 2 * 2
    for number in (2, 3):
        x, *_ = model.encoder.stage(number, x, None, model.dropout, pairs)
    merged, _ = small.encoder(samples, None, small.dropout)
    torch.testing.assert_close(merged, model.encoder.norm(x)[:, ::2], rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_masking_what_was_merged_equals_removing_it() -> None:
    """The naive network keeps all positions and lets nobody attend to those that went into a neighbour."""
    model, small = dense(), merging(("0:1.4",), "similar")
    samples, lengths, _ = batch()
    x, valid = model.encoder.embed(samples, lengths, model.dropout)
    x, valid, _ = model.encoder.stage(1, x, valid, model.dropout)
    short, _, place = small.encoder.merges[1].traced(x, valid)
    x = short.gather(1, place[:, :, None].expand(-1, -1, x.shape[2]))
    first = torch.ones_like(place, dtype=torch.bool)
    first[:, 1:] = place[:, 1:] != place[:, :-1]
    begins = torch.where(first, torch.arange(place.shape[1]), 0).cummax(1).values
    for number in (2, 3):
        x, *_ = model.encoder.stage(number, x, first & valid, model.dropout, begins)
    memory, left = small.encoder(samples, lengths, small.dropout)
    for row in range(len(samples)):
        naive = model.encoder.norm(x)[row][(first & valid)[row]]
        torch.testing.assert_close(memory[row][left[row]], naive, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("merges", "kind"), CASES)
@torch.no_grad()
def test_masked_shrunk_reloaded_padded_and_exported_alike(merges: tuple[str, ...], kind: str, tmp_path: Path) -> None:
    model = merging(merges, kind)
    keep = {g.name: random_units(g, 0.6, i) for i, g in enumerate(model.groups()) if g.kind in ("head", "ffn", "conv")}
    masked = copy.deepcopy(model)
    mask(masked, keep)
    save_checkpoint(tmp_path / "m", shrink(model, keep), small_tokenizer())
    small, text = load_checkpoint(tmp_path / "m")
    assert small.config.frame_merging == model.config.frame_merging
    samples, lengths, tokens = batch()
    whole = masked(samples, lengths, tokens)
    ours = TorchSession(small)
    given = (samples.numpy(), lengths.numpy())
    memory, valid = small.encoder(samples, lengths, small.dropout)
    for row, count in enumerate(LENGTHS):
        alone = small(samples[row : row + 1, :count], None, tokens[row : row + 1])
        torch.testing.assert_close(whole[row], alone[0], rtol=1e-4, atol=1e-4)
        assert int(valid[row].sum()) == small.config.positions(count)
    session = OnnxSession(export_onnx(small, text, tmp_path / "out", "fp32"), threads=1)
    logits, _ = session.step(tokens.numpy(), session.encode(*given))
    np.testing.assert_allclose(logits, whole[:, -1].numpy(), atol=2e-4)
    expected = ours.attention(tokens.numpy(), ours.encode(*given))
    weights = session.attention(tokens.numpy(), session.encode(*given))
    np.testing.assert_allclose(weights, expected, atol=1e-4)
    assert weights.shape[3] == (40 if kind == "similar" else memory.shape[1])
    assert count_parameters(small.config)["total"] == sum(p.numel() for p in small.state_dict().values())


def test_cost_and_lengths_count_what_is_merged() -> None:
    before, after = dense().config, merging(("1:2",), "mean").config
    assert after.position_seconds == 2 * before.position_seconds and after.max_seconds == before.max_seconds
    costs = [macs_by_part(config, 1.0, 5) for config in (before, after)]
    layer = costs[0]["encoder ffn"] / 3
    assert costs[1]["encoder ffn"] == pytest.approx(2.5 * layer)
    assert costs[1]["encoder conv"] == costs[0]["encoder conv"]
    assert costs[1]["decoder memory"] * 2 == costs[0]["decoder memory"]
    assert shrink(merging(("1:2",), "mean"), {"encoder.layers": [0, 2]}).config.frame_merging == (1, 2, 1)


def test_transformers_refuses_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_checkpoint(tmp_path / "m", merging(("0:2",), "mean"), small_tokenizer())
    assert main(["models", "show", str(tmp_path / "m")]) == 0
    assert "frames merged 0:2 (mean)" in capsys.readouterr().out
    for name in ("transformers", "transformers-pruned"):
        assert main(["export", str(tmp_path / "m"), "--out", str(tmp_path / name), "--format", name]) == 2
        assert "cannot merge frames" in capsys.readouterr().err
        assert not (tmp_path / name).exists()
