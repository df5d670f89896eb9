"""Sensitivity maps on small models: the batched, cached measurements equal the naive loop, and runs resume."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_ctc import CONFIGS, inputs, small_ctc
from small_models import small_whisper

import secateur
from secateur.base.errors import SecateurError
from secateur.base.files import read_json
from secateur.data.manifest import Utterance, read_manifest
from secateur.families.ctc.probe import CtcProbe, stages
from secateur.families.seq2seq.greedy import transcribe_bank
from secateur.families.seq2seq.probe import TokenProbe
from secateur.models.checkpoint import save_checkpoint
from secateur.prune.inputs import with_merged_frames
from secateur.prune.sensitivity_map import SensitivitySettings, matching, read_map
from secateur.prune.shrink import mask
from secateur.sensitivity.probe import Probe, ProbeSpec, band_limited, parts_of, repeated_frames
from secateur.sensitivity.run import run_map, saved
from secateur.sensitivity.store import MeasurementStore
from secateur.sensitivity.variants import BASELINE, Variant, of_branches, of_groups
from secateur.text.units import Units

CPU = torch.device("cpu")
DEV = Path(secateur.__file__).parent / "data" / "bundled" / "dev.jsonl"
SPEC = ProbeSpec("small", (str(DEV),), screen=3, device="cpu", style="as-is")


def clips(count: int = 5) -> list[Utterance]:
    return list(read_manifest(DEV))[:count]


def whisper_probe(model: Any, tokenizer: Any) -> TokenProbe:
    return TokenProbe(model, tokenizer, clips(), SPEC, CPU)


def all_variants(probe: Probe) -> list[Variant]:
    groups = [g for g in probe.model.groups() if g.maskable and g.kind != "vocabulary"]
    scores = {g.name: torch.arange(g.units).float() for g in groups}
    return [*of_groups(groups, scores, (0.5,)), *of_branches(probe.model)]


def ablated(model: Any, variant: Variant) -> Any:
    """The naive way: a copy with zeros in its weights."""
    twin = copy.deepcopy(model)
    groups = {g.name: g for g in twin.groups()}
    keep = {n: [u for u in range(groups[n].units) if u not in units] for n, units in variant.ablated.items()}
    if keep:
        mask(twin, keep)
    for module in variant.silenced:
        end = next(e for e in ("out", "down") if hasattr(twin.get_submodule(module), e))
        for parameter in twin.get_submodule(f"{module}.{end}").parameters():
            parameter.data.zero_()
    return twin


@pytest.mark.parametrize("padded", [False, True])
def test_whisper_variants_side_by_side_equal_masked_weights(padded: bool) -> None:
    from dataclasses import replace

    model, tokenizer = small_whisper()
    model.config = replace(model.config, padded=padded)
    probe = whisper_probe(model, tokenizer)
    every = all_variants(probe)
    # One of each kind in the encoder and the decoder: the first, or the last.
    one_each = {(v.kind, v.layer.split()[0]): v for v in (every if padded else reversed(every))}
    variants = [BASELINE, *one_each.values()]
    found, texts = probe.decoded(variants)
    for part, clips_of in enumerate(probe.parts):
        assert torch.allclose(probe.losses(variants, part), found[:, clips_of], atol=1e-3)
    assert len({round(float(row.sum()), 3) for row in found}) > 0.9 * len(variants)
    for variant, row, said in zip(variants, found, texts, strict=True):
        twin = ablated(model, variant)
        naive = whisper_probe(twin, tokenizer)
        assert torch.allclose(naive.decoded([BASELINE])[0][0], row, atol=2e-3), variant.name
        assert transcribe_bank(twin, tokenizer, probe.bank, ["en"] * 5) == said, variant.name


def test_what_does_not_fit_the_memory_is_measured_in_smaller_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = small_whisper()
    probe = whisper_probe(model, tokenizer)
    variants = [v for v in all_variants(probe) if v.layer == "decoder 1"]
    found, forward = probe.losses(variants, 0), model.decoder.layers[1].forward

    def small_memory(x: torch.Tensor, *rest: Any) -> torch.Tensor:
        if len(x) > 12:
            raise torch.OutOfMemoryError
        return forward(x, *rest)

    monkeypatch.setattr(model.decoder.layers[1], "forward", small_memory)
    assert torch.allclose(probe.losses(variants, 0), found, atol=1e-4) and probe.share < 1


def test_every_kind_of_input_is_taken_away_and_vocabulary_rows_are_never_said() -> None:
    model, tokenizer = small_whisper()
    probe = whisper_probe(model, tokenizer)
    variants = probe.inputs()
    assert {v.site for v in variants} >= {"sample_rate", "frame_rate", "vocabulary", "vocabulary[7]"}
    found = probe.losses([BASELINE, *variants], 0)
    assert torch.isfinite(found).all()
    assert ((found[1:] - found[0]).abs().sum(1) > 1e-3).sum() >= len(variants) - 2
    block = next(v for v in variants if v.site == "vocabulary[0]")
    (said,) = probe.decoded([block])[1]
    rows = {i for text in said for i in tokenizer.encode_exactly(text)}
    assert rows and not rows & set(block.ablated["vocabulary"])
    # Together, memories of several lengths among them, they say what each says alone.
    losses, texts = probe.decoded(variants)
    for number, variant in list(enumerate(variants))[::2]:
        alone, said = probe.decoded([variant])
        assert said == [texts[number]] and torch.allclose(alone[0], losses[number], atol=1e-3), variant.name


@pytest.mark.parametrize(("merges", "kind", "which"), [("1:2", "mean", "all"), ("input:1.5", "similar", "similar")])
def test_merged_frames_are_sites_and_cost_what_the_merging_model_costs(merges: str, kind: str, which: str) -> None:
    model, tokenizer = small_whisper()
    probe = whisper_probe(model, tokenizer)
    stage = 0 if merges.startswith("input") else 2
    (variant,) = [v for v in probe.inputs() if v.change.get("merge_after") == stage and which in v.change]
    merging = whisper_probe(with_merged_frames(model, (merges,), kind).eval(), tokenizer)
    assert torch.allclose(probe.losses([variant], 0), merging.losses([BASELINE], 0), atol=1e-4)
    assert not torch.allclose(probe.losses([BASELINE], 0), merging.losses([BASELINE], 0), atol=1e-3)
    assert not [v for v in merging.inputs() if v.kind == "merge"]  # what merges already does not merge again


@pytest.mark.parametrize(
    ("kind", "merges", "how", "stage"),
    [("trunk", "1:2", "mean", 2), ("subsampled conformer", "input:1.5", "similar", 0)],
)
def test_merged_frames_are_sites_of_ctc_models_too(kind: str, merges: str, how: str, stage: int) -> None:
    model, units = small_ctc(kind), Units(tuple("abcdef"))
    probe = CtcProbe(model, units, clips(3), SPEC, CPU)
    which = "similar" if how == "similar" else "all"
    (variant,) = [v for v in probe.inputs() if v.change.get("merge_after") == stage and which in v.change]
    assert variant.layer == ("input" if stage == 0 else "trunk 1")
    small = with_merged_frames(model, (merges,), how).eval()
    merging = CtcProbe(small, units, clips(3), SPEC, CPU)
    losses, texts = probe.decoded([variant])
    assert texts == merging.decoded([BASELINE])[1]
    assert not [v for v in merging.inputs() if v.kind == "merge"]
    # The model that merges, with an output for each of the frames in one.
    with torch.no_grad():
        log_probs, frames = small(*probe.features(*probe.bank.gather([0])))
    times = small.config.regular_merge
    row = torch.tensor([probe.targets[0]])
    wanted = torch.nn.functional.ctc_loss(
        log_probs.repeat_interleave(times, 1).transpose(0, 1), row, times * frames, torch.tensor([row.shape[1]]),
        reduction="sum", zero_infinity=True,
    )  # fmt: skip
    assert torch.allclose(losses[0, 0], wanted, atol=1e-2)
    saving = saved(probe, variant)
    assert saving[0] == 0 and saving[1] > 0.05


def test_a_lower_sampling_rate_leaves_the_low_band_alone() -> None:
    from secateur.data.bank import AudioBank

    time = np.arange(16000) / 16000
    tones = [0.5 * np.sin(2 * np.pi * hz * time).astype(np.float32) for hz in (1000, 6000)]
    low = band_limited(AudioBank(tones), 16000, 8000)
    kept, gone = (low.gather([row])[0][0, 2000:-2000].square().mean().sqrt() for row in range(2))
    assert abs(float(kept) - 0.5 / 2**0.5) < 0.01 and float(gone) < 0.005
    frames = torch.arange(7.0)[None, :, None]
    assert repeated_frames(frames, 3).flatten().tolist() == [0, 0, 0, 3, 3, 3, 6]


def test_the_screen_hears_every_speaker_and_parts_double() -> None:
    everyone = list(read_manifest(DEV))
    few, *others = parts_of(everyone, 2)
    assert {everyone[i].speaker for i in few} == {"gus", "hana"}
    assert sorted(few + [i for part in others for i in part]) == list(range(len(everyone)))
    assert [len(part) for part in parts_of(everyone * 25, 8)] == [8, 8, 16, 32, 136]
    assert parts_of(everyone, 0) == [list(range(len(everyone)))] and len(parts_of(everyone, 5)) == 2


@pytest.mark.parametrize("kind", list(CONFIGS))
def test_stages_are_the_whole_ctc_network(kind: str) -> None:
    model = small_ctc(kind)
    state = inputs(model)
    log_probs, frames = model(*state)
    for stage in stages(model):
        state = stage.run(*state)
    assert torch.equal(state[1], frames) and torch.allclose(state[0], log_probs, atol=1e-6)
    names = [n for n, _ in model.named_parameters()]
    assert all(sum(s.holds(n) for s in stages(model)) == 1 for n in names)


@pytest.mark.parametrize("kind", ["everything", "subsampled conformer"])
def test_ctc_variants_equal_masked_weights_and_leave_the_model_alone(kind: str) -> None:
    model = small_ctc(kind)
    units = Units(tuple("abcdef"))
    probe = CtcProbe(model, units, clips(3), SPEC, CPU)
    before = copy.deepcopy(model.state_dict())
    variants = [*all_variants(probe), *probe.inputs()][::7]
    found, texts = probe.decoded([BASELINE, *variants])
    assert torch.allclose(probe.losses(variants, 0), found[1:, probe.parts[0]], atol=1e-3)
    for variant, row, said in zip(variants, found[1:], texts[1:], strict=True):
        if variant.change:
            continue
        naive = CtcProbe(ablated(model, variant), units, clips(3), SPEC, CPU)
        losses, (alone,) = naive.decoded([BASELINE])
        assert torch.allclose(losses[0], row, atol=1e-3) and alone == said, variant.name
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.fixture
def small_folder(tmp_path: Path) -> Path:
    model, tokenizer = small_whisper()
    return save_checkpoint(tmp_path / "small", model, tokenizer)


def test_a_map_is_measured_and_a_killed_run_goes_on(
    tmp_path: Path, small_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = ProbeSpec(str(small_folder), (str(DEV),), screen=2, device="cpu", style="as-is")
    settings = SensitivitySettings((0.5,), "decoder 0,frame_rate", decode=4)
    whole = run_map(spec, settings, tmp_path / "whole")
    kept = []

    def die_after_two(store: MeasurementStore, piece: Any, values: Any, seconds: float) -> None:
        if len(kept) == 2:
            raise KeyboardInterrupt
        kept.append(piece)
        add(store, piece, values, seconds)

    add = MeasurementStore.add
    monkeypatch.setattr(MeasurementStore, "add", die_after_two)
    with pytest.raises(KeyboardInterrupt):
        run_map(spec, settings, tmp_path / "killed")
    monkeypatch.undo()
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "killed" / "pieces").iterdir()}
    again = run_map(spec, settings, tmp_path / "killed")
    assert len(before) == 2 and all(p.stat().st_mtime_ns == t for p, t in before.items())
    assert again.sites == whole.sites == read_map(tmp_path / "killed").sites
    decoded = [s for s in whole.sites if s.error is not None]
    assert len(decoded) == 4 and all(s.loss and s.loss.clips == whole.utterances == 8 for s in decoded)
    assert {s.loss.clips for s in whole.sites if s.loss} == {2, 4, 8}
    losses = [s.loss.delta for s in whole.sites if s.loss and not s.error]
    assert losses == sorted(losses) and len(losses) == len(whole.sites) - 4
    assert min(s.parameters for s in whole.sites if s.kind in ("head", "ffn", "branch")) > 0
    with pytest.raises(SecateurError, match="another 'settings'"):
        run_map(spec, SensitivitySettings((0.25,)), tmp_path / "killed")


def test_a_model_of_another_language_is_one_line_before_anything_is_measured(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "greek", small_ctc("gru"), Units(tuple("αβγδεζ")))
    spec = ProbeSpec(str(tmp_path / "greek"), (str(DEV),), device="cpu")
    with pytest.raises(SecateurError, match="is it a model of their language"):
        run_map(spec, SensitivitySettings(), tmp_path / "map")


def test_a_pattern_that_matches_nothing_is_an_error() -> None:
    variants = [Variant("decoder.layers.0.ffn", "ffn", "decoder 0", "ffn", 0.5)]
    assert matching(variants, "decoder*") == matching(variants, "ffn") == variants
    with pytest.raises(SecateurError, match=r"no site matches 'encoder 0' \(did you mean 'decoder 0'\?\)"):
        matching(variants, "encoder 0")


def test_the_command_writes_map_table_picture_and_page(
    tmp_path: Path, small_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from secateur.cli import main

    words = ["sensitivity", str(small_folder), "--data", str(DEV), "--out", str(tmp_path / "map"), "--sites"]
    words += ["decoder 1", "--amounts", "0.5", "--screen", "0", "--decode", "3", "--device", "cpu"]
    assert main(words) == 0
    assert "removals tried, 3 decoded" in capsys.readouterr().out
    page = (tmp_path / "map" / "report.html").read_text()
    assert "What matters" in page and "decoder.layers.1.ffn" in page
    assert (tmp_path / "map" / "heatmap.png").read_bytes()[1:4] == b"PNG"
    rows = [line for line in (tmp_path / "map" / "table.md").read_text().splitlines() if line.startswith("| decoder")]
    assert len(rows) == len(read_json(tmp_path / "map" / "map.json")["sites"])
