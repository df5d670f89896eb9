"""Frames merged inside CTC networks: padded rows equal lone clips, masked equals shrunk, ONNX equals torch, in chunks
too; outputs of means are longer, those of similar frames stay where they were."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from same_network import half_of
from small_ctc import CONFIGS, inputs, outputs, small_ctc
from small_models import inputs as whisper_inputs
from small_models import small_whisper

from secateur.base.errors import SecateurError
from secateur.cli import main
from secateur.export.exporter import exporter_of
from secateur.export.layers import FloatWeights
from secateur.export.onnx import export_onnx
from secateur.families.ctc.config import Streaming
from secateur.families.ctc.cost import count_macs, count_parameters
from secateur.families.ctc.family import receptive_field
from secateur.families.ctc.new_model import on_whisper, whisper_ctc
from secateur.families.ctc.task import recogniser_of
from secateur.families.parakeet.cost import parts as parakeet_parts
from secateur.families.seq2seq.layers import FrameMerge, Merge
from secateur.families.transformers_ctc.cost import parts as hf_parts
from secateur.models.checkpoint import load_checkpoint, save_checkpoint
from secateur.models.checkpointing import checkpointed
from secateur.prune.inputs import with_merged_frames
from secateur.prune.shrink import mask, shrink
from secateur.runtime.contents import STREAM
from secateur.runtime.ctc_recogniser import CachedNetwork
from secateur.runtime.streaming.chunks import Chunks, CtcStreamDecoder
from secateur.runtime.streaming.events import StreamOptions
from secateur.text.units import Units
from secateur.weights.fetch import read_foreign

UNITS = Units(tuple("abcdef"))

# Where each kind of layers has its merges: before, between and after them.
CASES: list[tuple[str, tuple[str, ...], str]] = [
    ("trunk", ("input:2", "1:3"), "mean"), ("trunk", ("0:1.5",), "similar"),
    ("inception", ("0:1.5", "1:1.3"), "similar"), ("subsampled gru", ("input:1.7",), "similar"),
    ("conformer", ("input:2", "1:2"), "learned"), ("everything", ("1:2", "4:2"), "mean"),
    ("everything", ("0:1.5", "5:1.5"), "similar"),
]  # fmt: skip


# Of `transformers`: absolute positions, gated distances, relative and rotary ones.
THEIRS: list[tuple[str, tuple[str, ...], str]] = [
    ("wav2vec2", ("0:1.5", "1:1.3"), "similar"), ("hubert large", ("input:2", "1:3"), "mean"),
    ("wavlm", ("0:2",), "learned"), ("wavlm", ("input:1.3", "1:1.5"), "similar"), ("conformer", ("0:2",), "mean"),
    ("conformer rotary", ("1:1.6",), "similar"), ("parakeet", ("0:2", "2:2"), "learned"),
]  # fmt: skip


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Any, Any]]:
    """Our network of one of `transformers`, and its text codec, read once."""
    pytest.importorskip("transformers")
    from small_hf import hf_folder
    from small_parakeet import parakeet_folder

    @cache
    def read(kind: str) -> tuple[Any, Any]:
        folder = tmp_path_factory.mktemp("theirs")
        (parakeet_folder if kind == "parakeet" else hf_folder)(kind, folder)
        return read_foreign(folder)

    return read


def merging(model: Any, merges: tuple[str, ...], kind: str) -> Any:
    small = with_merged_frames(model, merges, kind)
    for name, weight in small.named_parameters():
        if name.startswith("merges."):  # as if trained: no means any more
            weight.data += 0.2 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(3))
    return small.eval()


def graph_outputs(model: Any, batch: tuple[torch.Tensor, torch.Tensor]) -> np.ndarray[Any, Any]:
    """The real frames of all rows, one row after the other, of the model's graph."""
    exporter = exporter_of(model.config)
    (_, graph_proto), *_ = exporter.graphs(model.config, FloatWeights(model), "fp32", None, ())
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    graph = onnxruntime.InferenceSession(graph_proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    log_probs, frames = graph.run(None, {"features": batch[0].numpy(), "frames": batch[1].numpy()})
    return np.concatenate([row[:count] for row, count in zip(log_probs, frames.tolist(), strict=True)])


def check_everywhere(
    model: Any, text: Any, batch: tuple[torch.Tensor, torch.Tensor], count: Any, folder: Path
) -> torch.Tensor:
    """Alone, masked, shrunk, stored and exported give the same frames, which are returned."""
    plan = half_of([g for g in model.groups() if g.kind in ("head", "ffn", "conv", "unit") and g.blocks == 1])
    small = shrink(model, plan)
    mask(model, plan)
    wanted: torch.Tensor = outputs(model, batch)
    assert torch.allclose(outputs(small, batch), wanted, atol=1e-4)
    alone = [outputs(small, (row[None, :n], n[None])) for row, n in zip(*batch, strict=True) if n >= 3]
    assert torch.allclose(torch.cat(alone), wanted, atol=1e-4)
    assert count(small.config) == sum(value.numel() for value in small.state_dict().values())
    save_checkpoint(folder / "m", small, text)
    again, _ = load_checkpoint(folder / "m")
    assert again.config == small.config and torch.allclose(outputs(again, batch), wanted, atol=1e-5)
    np.testing.assert_allclose(graph_outputs(again, batch), wanted.numpy(), atol=3e-4)
    return wanted


@pytest.mark.parametrize(("kind", "merges", "how"), CASES)
def test_alone_masked_shrunk_stored_and_exported_alike(
    kind: str, merges: tuple[str, ...], how: str, tmp_path: Path
) -> None:
    model = merging(small_ctc(kind), merges, how)
    batch = inputs(model)[0], torch.tensor([41, 26, 0])
    wanted = check_everywhere(model, UNITS, batch, lambda config: count_parameters(config)["total"], tmp_path)
    factor = 1 if how == "similar" else math.prod(int(text.split(":")[1]) for text in merges)
    before = CONFIGS[kind].subsampled
    assert model.config.subsampled == before * factor
    assert len(wanted) == sum(math.ceil(math.ceil(n / before) / factor) for n in (41, 26))


@pytest.mark.parametrize(("kind", "merges", "how"), THEIRS)
def test_networks_of_transformers_alone_masked_shrunk_stored_and_exported_alike(
    theirs: Callable[[str], tuple[Any, Any]], kind: str, merges: tuple[str, ...], how: str, tmp_path: Path
) -> None:
    dense, text = theirs(kind)
    model = merging(dense, merges, how)
    config, generator = model.config, torch.Generator().manual_seed(1)
    lengths = (101, 57, 3) if kind == "parakeet" else (9000, 5003, 200)
    batch = torch.randn(3, lengths[0], config.front_end.inputs, generator=generator), torch.tensor(lengths)
    parts = hf_parts if config.family == "hf_ctc" else parakeet_parts
    count = lambda config: sum(part.stored for part in parts(config, 0))  # noqa: E731
    wanted = check_everywhere(copy.deepcopy(model), text, batch, count, tmp_path)
    factor = 1 if how == "similar" else math.prod(int(text.split(":")[1]) for text in merges)
    assert config.subsampled == dense.config.subsampled * factor
    assert len(wanted) == sum(math.ceil(config.shorter(n) / factor) for n in lengths)
    assert model.merges[0] is not copy.deepcopy(model).merges[0]
    macs = [sum(part.macs for part in parts(c, lengths[0]) if part.name == "output") for c in (dense.config, config)]
    frames = config.shorter(lengths[0])
    assert macs[1] * frames == macs[0] * config.frames_read(frames)[-1]


@pytest.mark.parametrize("kind", ["wavlm", "parakeet"])
def test_layers_computed_again_give_the_same_gradients(theirs: Callable[[str], tuple[Any, Any]], kind: str) -> None:
    """Those of `transformers` are called with names."""
    model = merging(theirs(kind)[0], ("0:2",), "learned")
    length = 101 if kind == "parakeet" else 9000
    batch = torch.randn(2, length, model.config.front_end.inputs), torch.tensor([length, length // 2])

    def gradients(on: bool) -> list[torch.Tensor]:
        model.zero_grad()
        with checkpointed(model, on):
            model(*batch)[0].square().mean().backward()
        return [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]

    for plain, again in zip(gradients(False), gradients(True), strict=True):
        torch.testing.assert_close(again, plain, rtol=1e-4, atol=1e-6)
    assert model.merges[1].weight.grad.abs().sum() > 0


class Copies(Merge):
    """The naive way: all frames stay, those of a pair alike and at one position."""

    factor = 2

    def starts(self, x: torch.Tensor, valid: Any) -> tuple[torch.Tensor, Any, torch.Tensor]:
        pairs = torch.arange(x.shape[1])[None] // 2 * 2
        return x.unflatten(1, (-1, 2)).mean(2).repeat_interleave(2, 1), valid, pairs


@pytest.mark.parametrize("kind", ["wav2vec2", "wavlm"])
@torch.no_grad()
def test_equal_to_a_network_that_attends_to_every_copy(theirs: Callable[[str], tuple[Any, Any]], kind: str) -> None:
    """Softmax over copies at one position is softmax over one of them."""
    dense, _ = theirs(kind)
    samples = torch.randn(1, 9000, 1, generator=torch.Generator().manual_seed(1))  # 28 frames
    none = FrameMerge(1)
    with dense.merges.replaced(torch.nn.ModuleList([none, Copies(), none, none])):
        naive = dense(samples)[0]
    small = merging(dense, ("0:2",), "mean")
    merged, frames = small(samples)
    with small.on_first_grid():  # whose losses compare with those of the dense one
        whole, counts = small(samples)
    assert int(counts[0]) == 28 and torch.equal(whole, merged.repeat_interleave(2, 1))
    assert int(frames[0]) == 14 and torch.allclose(merged, naive[:, ::2], atol=1e-5)
    assert torch.allclose(naive[:, ::2], naive[:, 1::2], atol=1e-5)


@pytest.mark.parametrize("kind", ["wavlm", "parakeet"])
def test_folders_of_transformers_are_refused_in_one_line(
    theirs: Callable[[str], tuple[Any, Any]], kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dense, text = theirs(kind)
    save_checkpoint(tmp_path / "m", merging(dense, ("0:2",), "mean"), text)
    for name in ("transformers", "transformers-pruned"):
        assert main(["export", str(tmp_path / "m"), "--out", str(tmp_path / name), "--format", name]) == 2
        assert "cannot merge frames" in capsys.readouterr().err
        assert not (tmp_path / name).exists()


@pytest.mark.parametrize("kind", ["conformer", "parakeet"])
def test_similar_frames_of_relative_positions_are_refused(theirs: Callable[[str], tuple[Any, Any]], kind: str) -> None:
    with pytest.raises(SecateurError, match="even distances"):
        with_merged_frames(theirs(kind)[0], ("0:1.5",), "similar")


@torch.no_grad()
def test_a_conformer_merges_by_hand_and_keeps_its_distances() -> None:
    """Each block reads means of pairs, whose distances in its tables are those of their first frames."""
    model = small_ctc("conformer")
    x, _ = inputs(model)
    got, frames = merging(model, ("0:2",), "mean")(x[:1], None)
    hidden = model.conformer.project(x[:1])
    for i, block in enumerate(model.conformer.layers):
        length = hidden.shape[1]
        at = torch.arange(length)[None] * (1 if i == 0 else 2)
        real = torch.ones(1, length, dtype=torch.bool)
        hidden = block(hidden, real, real[:, None], model.dropout, 1, at)
        if i == 0:
            pairs = torch.cat([hidden, hidden[:, -1:]], 1)  # 41 frames: the last stands for its neighbour
            hidden = (pairs[:, ::2] + pairs[:, 1::2]) / 2
    wanted = model.output(model.conformer.norm(hidden)).log_softmax(-1)
    assert int(frames[0]) == 21 and torch.allclose(got, wanted, atol=1e-5)


@torch.no_grad()
def test_similar_frames_have_one_output_on_the_first_grid() -> None:
    model = merging(small_ctc("lstm"), ("1:1.5",), "similar")
    x, frames = inputs(model)
    log_probs, counts = model(x, frames)
    assert counts.tolist() == frames.tolist()
    changes = (log_probs[:, 1:] != log_probs[:, :-1]).any(2)
    for row, count in enumerate(frames.tolist()):
        assert int(changes[row, : count - 1].sum()) + 1 == math.ceil(count / 1.5 - 1e-3)


@pytest.mark.parametrize(
    ("merges", "how", "chunks"),
    [(("input:2", "3:2"), "mean", (1, 2)), (("5:2",), "learned", (2, 3))],
)
@torch.no_grad()
def test_chunks_together_equal_the_clip(
    merges: tuple[str, ...], how: str, chunks: tuple[int, int], tmp_path: Path
) -> None:
    """A chunk of 3 and 5 frames before it become whole merged frames that last at least as long."""
    model = merging(small_ctc("streaming"), merges, how)
    config = model.config
    assert config.streaming == Streaming(*chunks)
    x = torch.randn(1, 75, config.front_end.inputs, generator=torch.Generator().manual_seed(0))
    network = CachedNetwork(export_onnx(model, UNITS, tmp_path / "out", "fp32") / STREAM, 1)
    state, pieces, step = network.begin(), [], config.streaming.chunk * config.subsampled
    for start in range(0, 75, step):
        piece, state = network.run(x[0, start : start + step].numpy(), state)
        pieces.append(piece)
    np.testing.assert_allclose(np.concatenate(pieces), model(x)[0][0].numpy(), atol=1e-4)


def test_windows_of_a_stream_equal_the_clip_and_words_have_its_times() -> None:
    """A network that looks no farther than its windows; they begin on an output, which is twice as long."""
    model = merging(small_ctc("inception"), ("0:2",), "mean")
    recogniser = recogniser_of(model, UNITS)
    assert recogniser.frame_seconds == pytest.approx(0.04)
    audio = 0.1 * np.random.default_rng(0).standard_normal(37_000, np.float32)
    whole = recogniser.log_probs([audio])[0]
    options = StreamOptions(chunk=0.4)
    np.testing.assert_allclose(Chunks(recogniser, options).all(audio), whole, atol=1e-5)
    words = CtcStreamDecoder(recogniser, options).final(audio).words
    best = whole.argmax(1).nonzero()[0]
    assert words[0].start == pytest.approx(0.04 * best[0])
    assert words[-1].end == pytest.approx(min(0.04 * (best[-1] + 1), len(audio) / 16000), abs=1e-3)


@torch.no_grad()
def test_a_trunk_merges_what_its_whisper_merges(tmp_path: Path) -> None:
    whisper = with_merged_frames(small_whisper()[0], ("1:2",), "learned")
    whisper.encoder.merges[2].weight += 0.3
    save_checkpoint(tmp_path / "m", whisper, small_whisper()[1])
    model, _ = on_whisper(str(tmp_path / "m"), UNITS, 0)
    mel, frames, _ = whisper_inputs(whisper)
    memory, valid = whisper.encoder(mel, frames, whisper.dropout)
    log_probs, counts = model.eval()(mel, frames)
    assert model.config.subsampled == 4 and counts.tolist() == valid.sum(1).tolist()
    assert torch.allclose(log_probs[0], model.output(memory[0]).log_softmax(-1), atol=1e-4)
    factored = replace(whisper.config, ranks={"encoder.layers.0.ffn.up": 4})
    with pytest.raises(SecateurError, match="of lower rank"):
        whisper_ctc(7, factored)


def test_costs_and_receptive_fields_count_what_is_merged() -> None:
    dense, half = CONFIGS["conformer"], merging(small_ctc("conformer"), ("0:2",), "mean").config
    before, after = (count_macs(config, 1.0) for config in (dense, half))
    frames = dense.front_end.frames(16000)
    assert after["conformer.layers.0.ffn1"] == before["conformer.layers.0.ffn1"]
    assert after["conformer.layers.1.ffn1"] == before["conformer.layers.1.ffn1"] // frames * -(-frames // 2)
    assert after["output"] == before["output"] // frames * -(-frames // 2)
    inception = merging(small_ctc("inception"), ("0:2",), "mean").config
    assert receptive_field(inception) == receptive_field(CONFIGS["inception"]) + 2 * (1 + 2)  # the pair, wider block 1
    assert receptive_field(merging(small_ctc("inception"), ("0:1.5",), "similar").config) is None
    few = shrink(merging(small_ctc("conformer"), ("1:2",), "mean"), {"conformer.layers": [0, 2]})
    assert few.config.frame_merging == (1, 2, 1)


@pytest.mark.parametrize(
    ("kind", "merges", "how", "line"),
    [("streaming", "0:1.5", "similar", "similar frames are found in whole clips"),
     ("lstm", "0:2", "learned", "merge by mean here"), ("subsampling", "input:2", "mean", "has no layers"),
     ("conformer", "3:2", "mean", "layers 0 to 2")],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_in_one_line(kind: str, merges: str, how: str, line: str) -> None:
    with pytest.raises(SecateurError, match=line):
        with_merged_frames(small_ctc(kind), (merges,), how)


def test_learned_merges_of_a_conformer_take_gradients_and_its_middle_block_moves() -> None:
    model = with_merged_frames(small_ctc("conformer"), ("1:2",), "learned")
    middle, last, frames = model.with_intermediate(*inputs(model))
    assert middle.shape == last.shape and frames.tolist() == [21, 13, 2]
    (middle.sum() + last[:, :, 0].sum()).backward()
    assert model.merges[2].weight.grad.abs().sum() > 0
