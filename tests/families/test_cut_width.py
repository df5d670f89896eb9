"""The width of residual streams, cut by a rotation: the same when whole, masked == cut, exact costs, files, graphs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from small_ctc import small_ctc  # noqa: E402
from small_models import inputs, random_units, small_whisper, unlike_in_steps  # noqa: E402

from secateur.base.errors import SecateurError  # noqa: E402
from secateur.cli import main  # noqa: E402
from secateur.data.job import JobData  # noqa: E402
from secateur.data.manifest import read_manifest  # noqa: E402
from secateur.export.exporter import exporter_of  # noqa: E402
from secateur.export.onnx import export_onnx  # noqa: E402
from secateur.families.ctc.new_model import whisper_ctc  # noqa: E402
from secateur.families.whisper.cost import count_parameters  # noqa: E402
from secateur.families.whisper.family import original  # noqa: E402
from secateur.families.whisper.model import Whisper  # noqa: E402
from secateur.models.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402
from secateur.models.low_rank import EMBEDDING  # noqa: E402
from secateur.prune.inputs import with_merged_frames  # noqa: E402
from secateur.prune.low_rank import factored, ranks_of  # noqa: E402
from secateur.prune.settings import PruneSettings  # noqa: E402
from secateur.prune.shrink import mask, shrink  # noqa: E402
from secateur.prune.width import narrowed, rotated, rotation, width_of, with_width  # noqa: E402
from secateur.study.oneshot import prune_without_training  # noqa: E402
from secateur.study.preview import preview  # noqa: E402


def run(models: Any, after: Any) -> None:
    """Two calibration batches."""
    for seed in (3, 4):
        for model in models:
            model(*inputs(model, seed))
        after()


def correlated(seed: int, width: int = 24) -> torch.Tensor:
    """Second moments (width, width) that are not alike in all directions."""
    x = torch.randn(width, width, generator=torch.Generator().manual_seed(seed)) * torch.linspace(2, 0.1, width)
    return x @ x.T


def factored_whisper() -> Whisper:
    ranks = {"encoder.layers.0.ffn.up": 12, "encoder.layers.1.attention.out": 10, "decoder.layers.0.ffn.down": 9}
    return factored(small_whisper()[0], {**ranks, "decoder.layers.1.self_attention.query": 8, EMBEDDING: 20}, run)


CASES = {
    "plain": lambda: small_whisper()[0],
    "merged": lambda: with_merged_frames(small_whisper()[0], ("0:2",)),
    "learned": lambda: with_merged_frames(small_whisper()[0], ("1:2",), "learned"),
    "similar": lambda: with_merged_frames(small_whisper()[0], ("0:1.5",), "similar"),
    "factored": factored_whisper,
}


@pytest.fixture(scope="module")
def small() -> Whisper:
    return narrowed(small_whisper()[0], 16, run)


@pytest.mark.parametrize("case", CASES)
def test_at_full_width_it_computes_the_same(case: str) -> None:
    model = CASES[case]()
    full = narrowed(model, 24, run)
    assert full.config.width == 24 and not torch.allclose(
        full.state_dict()["encoder.layers.0.ffn.down.weight"], model.state_dict().get(
            "encoder.layers.0.ffn.down.weight", torch.zeros(()))
    )  # fmt: skip
    torch.testing.assert_close(full(*inputs(model)), model(*inputs(model)), atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("case", ["plain", "merged", "learned", "factored"])
def test_masked_equals_cut_in_padded_batches_with_the_cache_and_after_files(case: str, tmp_path: Path) -> None:
    model = CASES[case]()
    turns = [rotation(correlated(1), 16), rotation(correlated(2), 16)]
    free = model.between_matrices()
    cut = rotated(free, free.residual_streams(), turns)
    projections = [(turn.T @ turn).float() for turn in turns]  # (24, 24), of rank 16
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.LayerNorm):
            kept = projections[name.startswith("decoder.")]
            module.register_forward_pre_hook(lambda _, given, kept=kept: (given[0] @ kept,))
    mel, frames, tokens = inputs(model)
    masked = model(mel, frames, tokens)
    torch.testing.assert_close(cut(mel, frames, tokens), masked, atol=1e-3, rtol=1e-3)
    alone = cut(mel[1:2, :57], frames[1:2], tokens[1:2])
    torch.testing.assert_close(alone, masked[1:2], atol=1e-3, rtol=1e-3)
    again = load_checkpoint(save_checkpoint(tmp_path / "cut", cut, small_whisper()[1]))[0]
    assert again.config == cut.config and again.config.width == 16
    cache = again.encode(mel, frames)
    steps = [again.step(tokens[:, :3], cache), *(again.step(tokens[:, i : i + 1], cache) for i in range(3, 7))]
    torch.testing.assert_close(torch.stack(steps, 1), masked[:, 2:], atol=1e-3, rtol=1e-3)


def test_rotations_keep_lengths_and_means() -> None:
    x = torch.randn(50, 24).double()
    for width in (8, 16, 24):
        turn = rotation(correlated(5), width)
        torch.testing.assert_close(turn @ turn.T, torch.eye(width).double())
        y = (x - x.mean(1, keepdim=True)) @ turn.T
        torch.testing.assert_close(y.mean(1), torch.zeros(50).double())
        torch.testing.assert_close((x @ turn.T).mean(1) * width**0.5, x.mean(1) * 24**0.5)
    # One direction holds nearly all: after the cosine transform no value does.
    spike = torch.eye(24).double() * 1e-3
    spike[3, 3] = 1.0
    y = torch.eye(24).double()[3] @ rotation(spike, 16).T
    assert y.abs().max() < 0.5 < y.norm()


def test_measured_directions_are_better_than_others() -> None:
    model = small_whisper()[0]
    calls, streams = inputs(model, 3), model.between_matrices().residual_streams()

    def error(other: Whisper) -> float:
        return (other(*calls) - model(*calls)).square().mean().item()

    drawn = [rotation(correlated(seed), 16) for seed in (7, 8)]
    others = error(rotated(model.between_matrices(), streams, drawn))
    assert error(narrowed(model, 16, run)) < others


def test_counts_are_those_of_the_stored_values(small: Whisper) -> None:
    for model in (small, narrowed(factored_whisper(), 8, run), with_width(small_whisper()[0], 8)):
        assert count_parameters(model.config)["total"] == sum(v.numel() for v in model.state_dict().values())
    assert count_parameters(small.config)["total"] < count_parameters(small_whisper()[0].config)["total"]


def test_a_cut_width_is_cut_again_and_its_embedding_factored(small: Whisper) -> None:
    same = narrowed(small, 16, run)
    torch.testing.assert_close(same(*inputs(small)), small(*inputs(small)), atol=2e-4, rtol=1e-4)
    assert narrowed(small, 8, run).config.width == 8
    (rank,) = ranks_of(small.config, {EMBEDDING: 0.7}).values()
    values = small.config.vocabulary * 24
    assert rank < 24 and rank * (small.config.vocabulary + 24) <= 0.7 * values
    whole = factored(small, {EMBEDDING: 24}, run)
    torch.testing.assert_close(whole(*inputs(small)), small(*inputs(small)), atol=2e-3, rtol=1e-3)
    fewer = factored(small, {EMBEDDING: 12, "encoder.layers.0.ffn.up": 8}, run)
    assert fewer.decoder.token_embedding.weight.shape[1] == 12
    assert count_parameters(fewer.config)["total"] == sum(v.numel() for v in fewer.state_dict().values())


def test_a_job_cuts_merges_rows_width_and_ranks_to_the_planned_sizes(
    speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secateur.prune.low_rank.CLIPS_BATCHES", 2)
    model, text = small_whisper()
    model.config = replace(model.config, padded=True)  # so that nothing teaches it a shorter context
    every = read_manifest(speech / "free-spoken-digits" / "train.jsonl")
    clips = [u for u in every if 0.3 < u.duration < 0.8][:20]
    data = JobData(training=clips[:14], dev=clips[14:], tests={"test": clips[14:]})
    settings = PruneSettings(
        method="gradual", remove=None, amounts={"ffn": 0.2, "encoder.conv2": 0.25}, width=0.7, merge_frames=("0:2",),
        low_rank={"encoder.*.ffn.*": 0.9, EMBEDDING: 0.9}, audio_seconds=0.9, frequent=50,
    )  # fmt: skip
    planned, initial = preview(model, text, data, settings, None, one_shot=True)
    assert initial.model.config.width == 16 and initial.model.config.ranks[EMBEDDING] < 24
    prune_without_training(model, text, data, settings, tmp_path / "out")
    small = load_checkpoint(tmp_path / "out")[0]
    assert small.config.conv_outputs == 18 and small.config.encoder[0].ffn == 32
    assert small.config.audio_context == model.config.audio_context
    assert any(line.startswith("encoder.projection: ") and "are added" in line for line in planned.lines)
    assert small.config.ranks == initial.model.config.ranks and small.config.vocabulary < model.config.vocabulary
    assert count_parameters(small.config)["total"] == sum(v.numel() for v in small.state_dict().values())
    gone = 1 - count_parameters(small.config)["total"] / count_parameters(model.config)["total"]
    assert gone == pytest.approx(planned.first + planned.units)
    assert main(["export", str(tmp_path / "out"), "--precision", "int8", "--out", str(tmp_path / "int8")]) == 0
    assert main(["transcribe", str(clips[0].audio), "--model", str(tmp_path / "int8")]) == 0


def test_masked_equals_shrunk_for_all_other_units(small: Whisper) -> None:
    groups = [g for g in small.groups() if g.maskable and g.kind not in ("layer", "vocabulary", "mel")]
    assert {"encoder.conv2", f"{EMBEDDING}.rank"} <= {g.name for g in groups}
    keep = {g.name: random_units(g, 0.7, i) for i, g in enumerate(groups)}
    smaller = shrink(small, keep)
    assert smaller.config.conv_outputs == len(keep["encoder.conv2"]) < 24 and smaller.config.width == 16
    masked = type(small)(small.config)
    masked.load_state_dict(small.state_dict())
    mask(masked.eval(), keep)
    torch.testing.assert_close(smaller(*inputs(small)), masked(*inputs(small)), atol=1e-3, rtol=1e-3)
    rows = sorted({*range(0, small.config.vocabulary, 2), *small.config.tokens.prompt(), small.config.tokens.end})
    fewer = shrink(small, {"vocabulary": rows, "encoder.layers": [0, 2], "decoder.positions": list(range(20))})
    assert fewer(*inputs(fewer)).shape[-1] == len(rows)


@pytest.mark.parametrize(
    ("precision", "nibbles", "within"),
    [("fp32", (), 1e-6), ("int8", (), 1e-3), ("int8", ("encoder.layers.*", "decoder.*"), 0.1)],
)
def test_the_graphs_compute_what_the_network_does(small: Whisper, tmp_path, precision, nibbles, within) -> None:  # type: ignore[no-untyped-def]
    folder = export_onnx(small, small_whisper()[1], tmp_path / "out", precision, nibbles=nibbles)
    assert unlike_in_steps(small, folder) < within


def test_smoothing_changes_nothing(small: Whisper) -> None:
    mel = inputs(small)[0]
    smoothed = exporter_of(small.config).smoothed(small, [mel[0].numpy(), mel[1].numpy()])
    torch.testing.assert_close(smoothed(*inputs(small)), small(*inputs(small)), atol=2e-3, rtol=1e-3)


def test_other_programs_refuse_it_in_one_line(
    small: Whisper, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_checkpoint(tmp_path / "small", small, small_whisper()[1])
    for kind in ("transformers", "ctranslate2", "ggml"):
        given = ["export", str(tmp_path / "small"), "--format", kind, "--out", str(tmp_path / kind)]
        assert main(given) == 2
        assert "cut width" in capsys.readouterr().err.splitlines()[-1] and not (tmp_path / kind).exists()
    assert main(["models", "show", str(tmp_path / "small")]) == 0
    assert "width 16" in capsys.readouterr().out


def test_what_cannot_be_cut_is_refused(small: Whisper) -> None:
    learned = CASES["learned"]()
    with torch.no_grad():
        learned.encoder.merges[2].weight[0, 1] += 0.1
    with pytest.raises(SecateurError, match="merged by weights"):
        width_of(learned, 0.8)
    with pytest.raises(SecateurError, match="less than 8"):
        width_of(small, 0.4)
    with pytest.raises(SecateurError, match="family 'ctc' cannot be cut"):
        width_of(small_ctc("subsampled gru"), 0.8)
    with pytest.raises(SecateurError, match="was cut"):
        whisper_ctc(10, small.config)
    with pytest.raises(ValueError, match="needs a rank"):
        replace(small.config, ranks={})


def test_the_model_that_it_was_cut_from_is_known() -> None:
    from secateur.families.whisper.config import uniform

    tokens = small_whisper()[0].config.tokens
    base = uniform(
        width=512, heads=8, ffn=2048, encoder_layers=6, decoder_layers=6, vocabulary=51864, tokens=tokens
    )  # fmt: skip
    cut = replace(base, width=384, conv_outputs=512, ranks={EMBEDDING: 512})
    assert original(cut) == original(base) and original(base) is not None
