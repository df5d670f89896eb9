"""Frames merged inside the encoder equal the naive way: in padded batches, with the cache, after files and export."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from small_models import inputs, random_units, small_whisper

from secateur.base.errors import SecateurError
from secateur.cli import main
from secateur.export.onnx import export_onnx
from secateur.families.seq2seq.layers import SimilarFrameMerge
from secateur.families.whisper.cost import count_macs, count_parameters
from secateur.families.whisper.model import Whisper
from secateur.models.checkpoint import load_checkpoint, save_checkpoint
from secateur.models.device_session import TorchSession
from secateur.models.frame_merging import parse_merges, spread
from secateur.prune.inputs import with_merged_frames
from secateur.prune.shrink import mask, shrink
from secateur.runtime.onnx_session import OnnxSession

CASES = [
    (("0:2",), "mean"), (("0:2", "1:3"), "mean"), (("input:2", "2:4"), "mean"), (("1:2",), "learned"),
    (("0:3", "2:2"), "learned"), (("0:1.5",), "similar"), (("input:1.25", "1:1.9"), "similar"), (("2:2",), "similar"),
]  # fmt: skip


def merging(merges: tuple[str, ...], kind: str) -> Whisper:
    model, _ = small_whisper()
    small = with_merged_frames(model, merges, kind)
    for name, weight in small.named_parameters():
        if ".merges." in name:  # as if trained: no means any more
            weight.data += 0.2 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(3))
    return small.eval()


def similar_by_hand(x: torch.Tensor, factor: float) -> torch.Tensor:
    """Groups of neighbours, joined one odd frame after the other; (positions, width) of one clip."""
    unit = torch.nn.functional.normalize(x, dim=1)
    choices = []
    for odd in range(1, len(x), 2):
        sides = [(float(unit[odd] @ unit[side]), side) for side in (odd - 1, odd + 1) if side < len(x)]
        choices.append((*max(sides, key=lambda pair: pair[0]), odd))
    groups = {i: [i] for i in range(len(x))}
    choices.sort(key=lambda choice: -choice[0])
    for _, side, odd in choices[: len(x) - math.ceil(len(x) / factor - 1e-3)]:
        groups[side] += groups.pop(odd)
    return torch.stack([x[members].mean(0) for _, members in sorted(groups.items())])


def merged_by_hand(x: torch.Tensor, merge: torch.nn.Module) -> torch.Tensor:
    """Window by window; (positions, width) of one clip."""
    if isinstance(merge, SimilarFrameMerge):
        return similar_by_hand(x, merge.factor)
    rows = []
    for start in range(0, len(x), merge.factor):
        window = [x[min(start + j, len(x) - 1)] for j in range(merge.factor)]
        weights = torch.full((merge.factor, 1), 1 / merge.factor) if merge.weight is None else merge.weight
        rows.append(sum(w * one for w, one in zip(weights, window, strict=True)))
    return torch.stack(rows)


@pytest.mark.parametrize(("merges", "kind"), CASES)
@torch.no_grad()
def test_the_memory_equals_merging_by_hand_clip_by_clip(merges: tuple[str, ...], kind: str) -> None:
    model = merging(merges, kind)
    mel, frames, _ = inputs(model)
    memory, valid = model.encoder(mel, frames, model.dropout)
    assert valid is not None
    for row, count in enumerate(frames.tolist()):
        x, _ = model.encoder.embed(mel[row : row + 1, :count], None, model.dropout)
        x = merged_by_hand(x[0], model.encoder.merges[0])
        for layer, merge in zip(model.encoder.layers, list(model.encoder.merges)[1:], strict=True):
            x = merged_by_hand(layer(x[None], None, model.dropout)[0], merge)
        expected = model.encoder.norm(x)
        samples = (count - 1) * model.config.front_end.hop
        assert int(valid[row].sum()) == len(expected) == model.config.positions(samples)
        torch.testing.assert_close(memory[row, : len(expected)], expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_equal_to_a_network_that_runs_on_all_frames_with_windows_made_equal() -> None:
    """Softmax over copies of a frame is softmax over the frame: the naive network spreads each mean over its window."""
    model, _ = small_whisper()
    small = with_merged_frames(model, ("0:2",))
    mel, _, tokens = inputs(model)
    mel = mel[:, :88]  # 44 positions: every window is whole
    x, _ = model.encoder.embed(mel, None, model.dropout)
    x = model.encoder.layers[0](x, None, model.dropout)
    x = x.unflatten(1, (-1, 2)).mean(2).repeat_interleave(2, 1)
    for layer in list(model.encoder.layers)[1:]:
        x = layer(x, None, model.dropout)
    naive = model.encoder.norm(x)
    merged, _ = small.encoder(mel, None, small.dropout)
    torch.testing.assert_close(merged, naive[:, ::2], rtol=1e-4, atol=1e-4)
    whole = model.decoder(tokens, model.decoder.start(naive, None), model.dropout)
    torch.testing.assert_close(small(mel, None, tokens), whole, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("merges", "kind"), CASES)
@torch.no_grad()
def test_masked_units_equal_shrunk_ones_after_files_with_padding_and_cache(
    merges: tuple[str, ...], kind: str, tmp_path: Path
) -> None:
    model = merging(merges, kind)
    keep = {g.name: random_units(g, 0.6, i) for i, g in enumerate(model.groups()) if g.kind in ("head", "ffn", "conv")}
    masked = copy.deepcopy(model)
    mask(masked, keep)
    _, tokenizer = small_whisper()
    save_checkpoint(tmp_path / "m", shrink(model, keep), tokenizer)
    small, _ = load_checkpoint(tmp_path / "m")
    assert small.config.frame_merging == model.config.frame_merging
    mel, frames, tokens = inputs(model)
    whole = masked(mel, frames, tokens)
    cache = small.encode(mel, frames)
    parts = torch.cat([small.step(tokens[:, i : i + 1], cache)[:, None] for i in range(tokens.shape[1])], 1)
    torch.testing.assert_close(parts, whole, rtol=1e-4, atol=1e-4)
    total = sum(p.numel() for p in small.state_dict().values())
    assert count_parameters(small.config)["total"] == total


@pytest.mark.parametrize(("merges", "kind"), CASES)
def test_the_exported_graph_equals_its_source(merges: tuple[str, ...], kind: str, tmp_path: Path) -> None:
    model = merging(merges, kind)
    _, tokenizer = small_whisper()
    session = OnnxSession(export_onnx(model, tokenizer, tmp_path / "out", "fp32"), threads=1)
    mel, frames, tokens = inputs(model)
    with torch.no_grad():
        cache = model.encode(mel, frames)
        expected = model.step(tokens, cache).numpy()
    state = session.encode(mel.numpy(), frames.numpy())
    logits, _ = session.step(tokens.numpy(), state)
    np.testing.assert_allclose(logits, expected, atol=1e-4)


@torch.no_grad()
def test_layers_go_and_their_merges_stay_in_place() -> None:
    model = merging(("0:2",), "mean")
    keep = {"encoder.layers": [1, 2]}
    masked = copy.deepcopy(model)
    mask(masked, keep)
    small = shrink(model, keep)
    assert small.config.frame_merging == (2, 1, 1)
    mel, frames, tokens = inputs(model)
    torch.testing.assert_close(small(mel, frames, tokens), masked(mel, frames, tokens), rtol=1e-4, atol=1e-4)
    with pytest.raises(SecateurError, match="after encoder layer 1 cannot move"):
        shrink(merging(("0:2", "1:2"), "mean"), {"encoder.layers": [0, 2]})
    with pytest.raises(SecateurError, match="cannot move"):
        shrink(merging(("0:2",), "learned"), keep)


def test_cost_counts_what_later_layers_no_longer_read() -> None:
    model, _ = small_whisper()
    before = count_macs(model.config, 1.0, 5)
    half = count_macs(with_merged_frames(model, ("0:2",)).config, 1.0, 5)
    first = count_macs(with_merged_frames(model, ("input:2",)).config, 1.0, 5)
    assert first["total"] < half["total"] < before["total"]
    assert model.config.position_seconds * 2 == with_merged_frames(model, ("0:2",)).config.position_seconds
    assert model.config.max_seconds == with_merged_frames(model, ("0:2",)).config.max_seconds


@pytest.mark.parametrize(
    ("text", "line"),
    [("0", "not LAYER:FACTOR"), ("7:2", "layers 0 to 2"), ("0:1", "2 to 8"), ("0:99", "2 to 8"),
     ("-1:2", "LAYER:FACTOR"), ("x:2", "LAYER:FACTOR"), ("1:a", "LAYER:FACTOR")],
)  # fmt: skip
def test_what_cannot_be_merged_is_one_line(text: str, line: str) -> None:
    with pytest.raises(SecateurError, match=line):
        parse_merges((text,), 3)
    with pytest.raises(SecateurError, match="named twice"):
        parse_merges(("1:2", "1:3"), 3)


@pytest.mark.parametrize(
    ("text", "line"), [("0:2.5", "1.01 to 2"), ("0:1", "1.01 to 2"), ("0:1.505", "LAYER"), ("0:", "LAYER")]
)
def test_what_cannot_be_merged_by_similarity_is_one_line(text: str, line: str) -> None:
    with pytest.raises(SecateurError, match=line):
        parse_merges((text,), 3, similar=True)


@torch.no_grad()
def test_alike_frames_are_merged_first_and_every_frame_knows_its_place() -> None:
    """Silence (equal frames) goes before sound; attention goes back to the frames that a position was made of."""
    x = torch.randn(1, 12, 16, generator=torch.Generator().manual_seed(0))
    x[:, 4:8] = x[:, 4:5]
    merged, _, place = SimilarFrameMerge(1.2).traced(x, None)  # two of twelve go
    assert merged.shape[1] == 10
    assert place[0].tolist() == [0, 1, 2, 3, 4, 4, 5, 5, 6, 7, 8, 9]
    torch.testing.assert_close(merged[:, 4], x[:, 4])
    weights = np.arange(10, dtype=np.float32)[None, None, None] / 45
    wide = spread(weights, place.numpy())
    assert wide.shape == (1, 1, 1, 12) and wide.sum() == pytest.approx(1)
    assert wide[0, 0, 0, 4] == wide[0, 0, 0, 5] == pytest.approx(weights[0, 0, 0, 4] / 2)


@torch.no_grad()
def test_masking_what_was_merged_equals_removing_it() -> None:
    """The naive network keeps all positions and lets nobody attend to those that went into a neighbour."""
    model, _ = small_whisper()
    small = with_merged_frames(model, ("0:1.4",), "similar")
    mel, frames, _ = inputs(model)
    x, valid = model.encoder.embed(mel, frames, model.dropout)
    x, valid, _ = model.encoder.stage(1, x, valid, model.dropout)
    short, _, place = small.encoder.merges[1].traced(x, valid)
    naive = short.gather(1, place[:, :, None].expand(-1, -1, x.shape[2]))
    first = torch.ones_like(place, dtype=torch.bool)
    first[:, 1:] = place[:, 1:] != place[:, :-1]  # one of each group is attended to
    mask = first & valid
    for number in range(2, len(model.encoder.layers) + 1):
        naive, *_ = model.encoder.stage(number, naive, mask, model.dropout)
    naive = model.encoder.norm(naive)
    memory, left = small.encoder(mel, frames, small.dropout)
    for row in range(len(mel)):
        torch.testing.assert_close(memory[row][left[row]], naive[row][mask[row]], rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_word_times_of_the_export_equal_those_of_its_source(tmp_path: Path) -> None:
    model = merging(("0:1.5", "1:1.3"), "similar")
    _, tokenizer = small_whisper()
    session = OnnxSession(export_onnx(model, tokenizer, tmp_path / "out", "fp32"), threads=1)
    ours = TorchSession(model)
    mel, frames, tokens = inputs(model)
    given = (mel.numpy(), frames.numpy())
    expected = ours.attention(tokens.numpy(), ours.encode(*given))
    weights = session.attention(tokens.numpy(), session.encode(*given))
    np.testing.assert_allclose(weights, expected, atol=1e-4)
    assert weights.shape[3] == (mel.shape[1] + 1) // 2  # the grid before anything was merged
    assert session.config.position_seconds == small_whisper()[0].config.position_seconds
    rows = np.array([2, 0])
    picked = session.pick(session.encode(*given), rows)
    np.testing.assert_allclose(session.attention(tokens.numpy()[rows], picked), expected[rows], atol=1e-4)


def test_programs_that_cannot_merge_refuse(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, tokenizer = small_whisper()
    save_checkpoint(tmp_path / "m", merging(("0:2",), "mean"), tokenizer)
    for name in ("transformers", "ctranslate2", "ggml"):
        assert main(["export", str(tmp_path / "m"), "--out", str(tmp_path / name), "--format", name]) == 2
        assert "frames" in capsys.readouterr().err
        assert not (tmp_path / name).exists()


@pytest.mark.parametrize(("merges", "kind"), CASES[:2] + CASES[3:4] + CASES[5:7])
@torch.no_grad()
def test_transformers_merges_the_same_frames(merges: tuple[str, ...], kind: str, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    from secateur.families.pruned import PrunedWhisperForConditionalGeneration

    model = merging(merges, kind)
    _, tokenizer = small_whisper()
    save_checkpoint(tmp_path / "m", model, tokenizer)
    folder = tmp_path / "pruned"
    assert main(["export", str(tmp_path / "m"), "--format", "transformers-pruned", "--out", str(folder)]) == 0
    loaded = PrunedWhisperForConditionalGeneration.from_pretrained(folder).eval()
    frames = 2 * model.config.audio_context
    mel = torch.randn(2, frames, model.config.front_end.bins, generator=torch.Generator().manual_seed(1))
    tokens = inputs(model)[2][:2]
    logits = loaded(input_features=mel.transpose(1, 2), decoder_input_ids=tokens).logits
    torch.testing.assert_close(logits, model(mel, None, tokens), rtol=1e-4, atol=1e-4)
