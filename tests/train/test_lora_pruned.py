"""Low-rank updates beside pruning: ranked merged, removed in weight and factors, masked == shrunk, resumed alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from small_models import inputs, small_whisper  # noqa: E402
from train_small import PRUNE, StoppedError, run_small  # noqa: E402

from secateur.base.errors import SecateurError  # noqa: E402
from secateur.prune.evidence import TaylorCollector  # noqa: E402
from secateur.prune.method import check_low_rank_method, make_method  # noqa: E402
from secateur.prune.refit import refit  # noqa: E402
from secateur.prune.units import COSTS  # noqa: E402
from secateur.train.lora import LowRankLinear, factor_masks, low_rank, merged_weights  # noqa: E402
from secateur.train.settings import TrainSettings  # noqa: E402

METHODS = ("gradual", "refit", "early-bird")


def trained(updates: Any) -> None:
    """Give every update values, as training would."""
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in updates.named_parameters():
            if name.endswith(".up"):
                parameter.copy_(0.2 * torch.randn(parameter.shape))


@pytest.mark.parametrize("rank", [1, 4])
def test_the_masked_model_with_updates_computes_what_the_shrunk_one_does(rank: int) -> None:
    model, _ = small_whisper()
    pruner = make_method(model, replace(PRUNE, criterion="magnitude"), COSTS["parameters"](model.config))
    with torch.no_grad(), low_rank(model, TrainSettings(lora_rank=rank)):
        trained(model)
        pruner.prune_to(1.0)
        pruner.project({n: p for n, p in model.named_parameters() if p.requires_grad})
        masked = model(*inputs(model))
        cut = [m for n, m in model.named_modules() if isinstance(m, LowRankLinear) and f"{n}.up" in pruner.masks]
        assert cut and any(bool((m.up == 0).all(1).any()) for m in cut)
        assert any(bool((m.down == 0).all(0).any()) for m in cut)
    small = pruner.shrunk()
    assert sum(p.numel() for p in small.parameters()) < sum(p.numel() for p in model.parameters())
    with torch.no_grad():
        torch.testing.assert_close(small(*inputs(small)), masked, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_training_updates_while_pruning_moves_what_stays_by_the_rank_only(method: str) -> None:
    start, _ = small_whisper()
    settings = replace(PRUNE, method=method, schedule="cubic")
    model, pruner, log = run_small(None, prune=settings, lora_rank=2, learning_rate=2e-2)
    assert log[-1]["kept"] == pytest.approx(0.85, abs=0.02)
    small = pruner.shrunk()
    with torch.no_grad():
        torch.testing.assert_close(small(*inputs(small)), model.eval()(*inputs(model)), rtol=1e-4, atol=1e-5)
    if method == "refit":
        return  # least squares move frozen weights, too
    before = dict(start.named_parameters())
    for name, after in model.named_parameters():
        stays = after != 0
        change = torch.where(stays, after - before[name], 0.0).detach()
        if after.dim() == 1 or name not in {f"{n}.weight" for n, m in model.named_modules()
                                            if type(m) is torch.nn.Linear}:  # fmt: skip
            assert torch.equal(change, torch.zeros_like(change)), name
            continue
        sizes = torch.linalg.svdvals(change.double())
        assert (sizes[2:] < 1e-5 * max(float(sizes[0]), 1e-3)).all(), name


def test_the_ranking_reads_the_merged_weights_and_their_exact_gradient() -> None:
    merged, _ = small_whisper()
    model, _ = small_whisper()
    with low_rank(merged, TrainSettings(lora_rank=3)):
        trained(merged)
    plain, updated = (TaylorCollector(m, [g for g in m.groups() if g.kind == "ffn"]) for m in (merged, model))
    merged(*inputs(merged)).square().mean().backward()
    plain.update()
    with low_rank(model, TrainSettings(lora_rank=3)):
        trained(model)
        updated.watch()
        model(*inputs(model)).square().mean().backward()
        updated.update()
        frozen = [p for n, p in model.named_parameters() if not n.endswith((".up", ".down"))]
        assert all(p.grad is None and not p.requires_grad for p in frozen)
        weights = merged_weights(model)
        assert not any(name.endswith((".up", ".down")) for name in weights)
        for name, parameter in merged.named_parameters():
            torch.testing.assert_close(weights[name], parameter, rtol=1e-4, atol=1e-6)
    for name, found in updated.means().items():
        torch.testing.assert_close(found, plain.means()[name], rtol=1e-3, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_a_broken_off_run_ends_as_an_undisturbed_one(method: str, tmp_path: Path) -> None:
    settings = replace(PRUNE, method=method, schedule="cubic")
    _, whole, _ = run_small(None, prune=settings, lora_rank=2, steps=12)
    with pytest.raises(StoppedError):
        run_small(tmp_path, prune=settings, lora_rank=2, steps=12, stop=6)
    _, again, _ = run_small(tmp_path, prune=settings, lora_rank=2, steps=12)
    first, second = whole.shrunk(), again.shrunk()
    assert first.config == second.config
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_refitting_takes_the_update_of_a_removed_input_into_account() -> None:
    torch.manual_seed(0)
    layer = torch.nn.Linear(6, 4)
    x = torch.randn(200, 6)
    x[:, 5] = x[:, 0] - x[:, 1]  # what the removed input says, two others say
    update = LowRankLinear.begin(layer, 2, torch.Generator().manual_seed(0))
    with torch.no_grad():
        update.up.normal_()
        before = update(x)
        rows = torch.cat([x, torch.ones(200, 1)], 1)
        stays = torch.tensor([True] * 5 + [False])
        refit(update, rows.T @ rows / 200, stays, damp=1e-6)
        update.down.mul_(stays)
        torch.testing.assert_close(update(x), before, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("method", ["gates", "group-lasso", "layer-drop", "sparse", "parp", "rigl", "rewind", "wanda"])
def test_methods_that_move_the_weights_themselves_are_refused(method: str) -> None:
    with pytest.raises(SecateurError, match=r"use gradual, refit, early-bird, or leave out the updates"):
        check_low_rank_method(method, True)
    check_low_rank_method(method, False)
    for able in METHODS:
        check_low_rank_method(able, True)


def test_single_zeros_have_no_factors() -> None:
    model, _ = small_whisper()
    name = next(n for n, m in model.named_modules() if type(m) is torch.nn.Linear)
    with low_rank(model, TrainSettings(lora_rank=2)):
        weight = dict(model.named_parameters())[f"{name}.weight"]
        mask = torch.ones_like(weight)
        mask[0], mask[:, 1] = 0, 0
        found = factor_masks(model, {f"{name}.weight": mask})
        assert float(found[f"{name}.up"][0]) == 0 and float(found[f"{name}.down"][0, 1]) == 0
        mask[2, 2] = 0
        with pytest.raises(SecateurError, match="no low-rank form"):
            factor_masks(model, {f"{name}.weight": mask})
