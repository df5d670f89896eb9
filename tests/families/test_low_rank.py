"""Factored Whispers: exact cost, exact masks, exact files and graphs; better factors with activations; healing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from small_models import inputs, random_units, small_whisper, unlike_in_steps  # noqa: E402

from secateur.base.errors import SecateurError  # noqa: E402
from secateur.cli import main  # noqa: E402
from secateur.export.calibration import calibrate  # noqa: E402
from secateur.export.exporter import exporter_of  # noqa: E402
from secateur.export.onnx import export_onnx  # noqa: E402
from secateur.families.whisper.cost import count_macs, count_parameters  # noqa: E402
from secateur.families.whisper.model import Whisper  # noqa: E402
from secateur.models.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402
from secateur.models.family import family_of  # noqa: E402
from secateur.prune.low_rank import factored, factors, multiplied_out, ranks_of  # noqa: E402
from secateur.prune.shrink import mask, shrink  # noqa: E402

RANKS = {
    "encoder.layers.0.ffn.up": 12, "encoder.layers.0.ffn.down": 14, "encoder.layers.1.attention.query": 9,
    "encoder.layers.1.attention.out": 10, "encoder.layers.2.attention.value": 11,
    "decoder.layers.0.self_attention.key": 8, "decoder.layers.0.cross_attention.query": 10,
    "decoder.layers.1.cross_attention.value": 8, "decoder.layers.1.ffn.down": 13,
    "decoder.layers.1.self_attention.out": 9,
    "decoder.token_embedding": 16,
}  # fmt: skip


def run(models, after) -> None:  # type: ignore[no-untyped-def]
    """Two calibration batches."""
    for seed in (3, 4):
        for model in models:
            model(*inputs(model, seed))
        after()


@pytest.fixture(scope="module")
def small() -> Whisper:
    return factored(small_whisper()[0], RANKS, run)


def test_counts_are_those_of_the_stored_values(small: Whisper) -> None:
    stored = sum(v.numel() for v in small.state_dict().values())
    assert count_parameters(small.config)["total"] == stored < count_parameters(small_whisper()[0].config)["total"]
    whole, less = (count_macs(c, 0.5, 6)["total"] for c in (replace(small.config, ranks={}), small.config))
    assert less < whole
    name = "encoder.layers.0.ffn.up"
    one = replace(small.config, ranks={name: 12})
    positions = 25
    assert whole - count_macs(one, 0.5, 6)["total"] == positions * (24 * 40 - 12 * (24 + 40))


def test_a_full_rank_computes_the_same_as_the_matrix() -> None:
    model = small_whisper()[0]
    full = factored(model, {"encoder.layers.0.ffn.up": 24, "decoder.layers.0.self_attention.out": 10}, run)
    torch.testing.assert_close(full(*inputs(model)), model(*inputs(model)), atol=2e-3, rtol=1e-3)


def test_factored_equals_multiplied_out_in_padded_batches_and_with_the_cache(small: Whisper) -> None:
    mel, frames, tokens = inputs(small)
    logits = small(mel, frames, tokens)
    plain = multiplied_out(small)
    assert plain.config.ranks == {} and type(plain.encoder.layers[0].ffn.up) is torch.nn.Linear
    torch.testing.assert_close(plain(mel, frames, tokens), logits, atol=1e-3, rtol=1e-3)
    alone = small(mel[1:2, :57], frames[1:2], tokens[1:2])
    torch.testing.assert_close(alone, logits[1:2], atol=1e-3, rtol=1e-3)
    cache = small.encode(mel, frames)
    steps = [small.step(tokens[:, :3], cache), *(small.step(tokens[:, i : i + 1], cache) for i in range(3, 7))]
    torch.testing.assert_close(torch.stack(steps, 1), logits[:, 2:], atol=1e-3, rtol=1e-3)


def test_masked_equals_shrunk_for_ranks_and_all_other_units(small: Whisper, tmp_path: Path) -> None:
    groups = [g for g in small.groups() if g.maskable and g.kind not in ("layer", "vocabulary", "mel")]
    assert {g.name for g in groups if g.kind == "rank"} == {f"{name}.rank" for name in RANKS}
    keep = {g.name: random_units(g, 0.7, i) for i, g in enumerate(groups)}
    smaller = shrink(small, keep)
    assert smaller.config.ranks["decoder.token_embedding"] == len(keep["decoder.token_embedding.rank"]) < 16
    masked = type(small)(small.config)
    masked.load_state_dict(small.state_dict())
    mask(masked.eval(), keep)
    expected = masked(*inputs(small))
    torch.testing.assert_close(smaller(*inputs(small)), expected, atol=1e-3, rtol=1e-3)
    assert count_parameters(smaller.config)["total"] == sum(v.numel() for v in smaller.state_dict().values())
    again = load_checkpoint(save_checkpoint(tmp_path / "saved", smaller, small_whisper()[1]))[0]
    assert again.config == smaller.config
    torch.testing.assert_close(again(*inputs(small)), expected, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("keep", [{"encoder.layers": [1, 2]}, {"decoder.layers": [1]}, {"encoder.layers": [0, 2]}])
def test_layers_go_with_their_ranks(small: Whisper, keep: dict[str, list[int]]) -> None:
    smaller = shrink(small, keep)
    masked = type(small)(small.config)
    masked.load_state_dict(small.state_dict())
    mask(masked.eval(), keep)
    torch.testing.assert_close(smaller(*inputs(small)), masked(*inputs(small)), atol=1e-3, rtol=1e-3)
    ((side, kept),) = keep.items()
    expected = {n for n in RANKS if not n.startswith(side) or int(n.split(".")[2]) in kept}
    assert len(smaller.config.ranks) == len(expected)


def test_vocabulary_rows_go_from_a_factored_embedding(small: Whisper) -> None:
    rows = list(range(0, small.config.vocabulary, 2))
    rows = sorted({*rows, small.config.tokens.end, small.config.tokens.start, small.config.tokens.no_timestamps})
    smaller = shrink(small, {"vocabulary": rows})
    mel, frames, tokens = inputs(small)
    even = tokens // 2 * 2
    new = torch.tensor([[rows.index(i) for i in row] for row in even.tolist()])
    torch.testing.assert_close(smaller(mel, frames, new), small(mel, frames, even)[..., rows], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("precision", "nibbles", "within"),
    [("fp32", (), 1e-6), ("int8", (), 1e-3), ("int8", ("encoder.layers.*", "decoder.*"), 0.1)],
)
def test_the_graphs_compute_what_the_network_does(small: Whisper, tmp_path, precision, nibbles, within) -> None:  # type: ignore[no-untyped-def]
    folder = export_onnx(small, small_whisper()[1], tmp_path / "out", precision, nibbles=nibbles)
    assert unlike_in_steps(small, folder) < within


def test_what_is_shown_of_a_factored_model(small: Whisper, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_checkpoint(tmp_path / "small", small, small_whisper()[1])
    assert main(["models", "show", str(tmp_path / "small")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("encoder.layers.0.ffn" in line and "up rank 12, down rank 14" in line for line in lines)
    assert any(line.startswith("vocabulary") and "rank 16" in line for line in lines)
    assert family_of(small.config).layers(small.config)["encoder 0"]["ffn.up rank"] == 12  # type: ignore[misc]


def test_smoothing_folds_scales_into_factors_and_changes_nothing() -> None:
    ranks = {n: 8 for n in small_whisper()[0].config.matrices if n != "decoder.token_embedding"}
    model = factored(small_whisper()[0], ranks, run)
    mel, frames, tokens = inputs(model)
    smoothed = exporter_of(model.config).smoothed(model, [mel[0].numpy(), mel[1].numpy()])
    name = "decoder.layers.0.cross_attention.key.reduce.weight"
    assert not torch.equal(smoothed.state_dict()[name], model.state_dict()[name])
    torch.testing.assert_close(smoothed(mel, frames, tokens), model(mel, frames, tokens), atol=2e-3, rtol=1e-3)
    ranges = calibrate(exporter_of(model.config).observed(model), [mel[0].numpy()])
    assert {"encoder.layers.0.attention.query.reduce", "decoder.layers.0.cross_attention.key.reduce"} <= ranges.keys()
    assert not any("ffn.down.reduce" in name for name in ranges)


def test_four_bits_and_ranks_make_the_files_smaller(small: Whisper, tmp_path: Path) -> None:
    def size(model: Whisper, name: str) -> int:
        folder = export_onnx(model, small_whisper()[1], tmp_path / name, "fp16", trial=False)
        return sum(path.stat().st_size for path in folder.glob("*.onnx"))

    tiny = factored(small_whisper()[0], dict.fromkeys(RANKS, 4), run)
    assert size(tiny, "a") < size(small_whisper()[0], "b")


def test_activations_choose_better_factors_than_weights_alone() -> None:
    torch.manual_seed(0)
    weight, mixing = torch.randn(20, 30), torch.randn(30, 30) * torch.linspace(3, 0.05, 30)
    x = torch.randn(500, 30) @ mixing.T
    for rank in (4, 10, 15):
        expand, reduce = factors(weight, x.T @ x / len(x), rank)
        left, singular, right = torch.linalg.svd(weight)
        plain = left[:, :rank] * singular[:rank] @ right[:rank]
        errors = [float((x @ (weight - w.float()).T).square().mean()) for w in (expand @ reduce, plain)]
        assert errors[0] < errors[1]
        assert expand.shape == (20, rank) and reduce.shape == (rank, 30)


def test_rows_that_count_more_are_nearer() -> None:
    torch.manual_seed(0)
    weight, counts = torch.randn(60, 30), torch.cat([torch.full((20,), 30.0), torch.ones(40)])
    errors = {}
    for name, rows in (("even", None), ("counted", counts)):
        expand, reduce = factors(weight, torch.eye(30), 12, rows)
        each = (expand @ reduce - weight).square().mean(1)
        errors[name] = float(each[:20].mean()), float(each[20:].mean())
    assert errors["counted"][0] < errors["even"][0] and errors["counted"][1] > errors["even"][1]


def test_healing_brings_outputs_nearer_to_the_whole_model() -> None:
    from secateur.prune import low_rank

    model = small_whisper()[0]
    ranks = {n: 6 for n, s in model.config.matrices.items() if n.startswith("encoder")}
    healed, kept = factored(model, ranks, run), low_rank.heal
    low_rank.heal = lambda *_: None  # type: ignore[assignment]
    try:
        raw = factored(model, ranks, run)
    finally:
        low_rank.heal = kept
    mel, frames, tokens = inputs(model, 3)
    distance = [float((m(mel, frames, tokens) - model(mel, frames, tokens)).square().mean()) for m in (healed, raw)]
    assert distance[0] < distance[1]


def test_shares_become_ranks_and_wrong_ones_are_named() -> None:
    config = small_whisper()[0].config
    ranks = ranks_of(config, {"encoder.*.ffn.*": 0.9, "encoder.layers.1.*": 1.0, "decoder.token_embedding": 0.9})
    assert set(ranks) == {f"encoder.layers.{i}.ffn.{p}" for i in (0, 2) for p in ("up", "down")} | {
        "decoder.token_embedding"
    }
    for name, rank in ranks.items():
        outputs, width = config.matrices[name]
        assert rank * (outputs + width) <= 0.9 * outputs * width
    with pytest.raises(SecateurError, match="did you mean"):
        ranks_of(config, {"decoder.token_embeding": 0.5})
    with pytest.raises(SecateurError, match="less than one rank"):
        ranks_of(config, {"encoder.layers.0.ffn.up": 0.001})
    with pytest.raises(ValueError, match="did you mean"):
        replace(config, ranks={"encoder.layers.0.ffn.upp": 3})
    with pytest.raises(ValueError, match="rank 99"):
        replace(config, ranks={"encoder.layers.0.ffn.up": 99})
