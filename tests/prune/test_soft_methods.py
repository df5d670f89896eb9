"""What every method that prunes by training pressure promises."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from small_models import inputs, small_whisper
from soft_runs import StoppedError, run_soft, settings_for

from secateur.base.errors import SecateurError
from secateur.prune.method import check_settings, make_method
from secateur.prune.places import unit_sums
from secateur.prune.soft.expected import unit_costs
from secateur.prune.units import COSTS, UnitMethod

STEPS = 20  # pressed between steps 2 and 12
METHODS = ("gates", "group-lasso", "early-bird", "layer-drop", "refit")


@cache
def undisturbed(method: str) -> Any:
    """What a whole run with the usual settings ends as; tests look at it and leave it as it is."""
    return run_soft(settings_for(method), steps=STEPS)


@torch.no_grad()
def logits(model: torch.nn.Module) -> torch.Tensor:
    return model(*inputs(model))


@pytest.mark.parametrize("method", METHODS)
def test_masked_equals_shrunk_and_the_budget_is_met(method: str) -> None:
    model, pruner, log = undisturbed(method)
    assert isinstance(pruner, UnitMethod)
    small = pruner.shrunk().eval()
    torch.testing.assert_close(logits(small), logits(model), rtol=1e-4, atol=1e-5)
    kept = pruner.cost(small.config)
    assert kept == sum(t.numel() for t in small.state_dict().values())
    assert log[-1]["kept"] == kept / pruner.original
    if method == "layer-drop":
        assert (len(small.config.encoder), len(small.config.decoder)) == (2, 1)
    else:
        costs = unit_costs(model.config, pruner.groups, pruner.cost)
        # Of query/key and value dimensions one goes from every head at once.
        removal = max(costs[g.name] * g.blocks for g in pruner.competing())
        assert pruner.target is not None
        assert pruner.target - removal < kept <= pruner.target
    assert log[-1]["loss"] < log[0]["loss"]
    sizes = {n: p.detach().abs() for n, p in model.named_parameters()}
    for group in pruner.groups:
        if group.name in pruner.keep and group.kind == "ffn":
            gone = sorted(set(range(group.units)) - set(pruner.keep[group.name]))
            assert (unit_sums(group, sizes)[gone] == 0).all()


# While it presses, and after the final amount.
@pytest.mark.parametrize(("method", "stop"), [*((method, 6) for method in METHODS), ("gates", 15)])
def test_a_broken_off_run_ends_as_an_undisturbed_one(method: str, stop: int, tmp_path: Path) -> None:
    prune = settings_for(method)
    whole, first, log = undisturbed(method)
    with pytest.raises(StoppedError):
        run_soft(prune, tmp_path, stop, steps=STEPS)
    again, second, later = run_soft(prune, tmp_path, steps=STEPS)
    assert first is not None and second is not None
    assert first.keep == second.keep != {}
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters(), strict=True))
    timing = ("seconds", "utterances_per_second")
    assert [{k: v for k, v in e.items() if k not in timing} for e in log] == [
        {k: v for k, v in e.items() if k not in timing} for e in later
    ]


@pytest.mark.parametrize("method", METHODS)
def test_weights_may_be_chosen_only_after_the_final_amount(method: str) -> None:
    model, pruner, log = run_soft(settings_for(method, end=0.9), select="best", validate_every=0.5, steps=STEPS)
    assert pruner is not None
    torch.testing.assert_close(logits(pruner.shrunk().eval()), logits(model), rtol=1e-4, atol=1e-5)
    assert log[0]["kept"] == 1 > log[-1]["kept"]


@pytest.mark.parametrize("method", METHODS)
def test_what_cannot_be_met_is_refused_before_training(method: str) -> None:
    model, _ = small_whisper()
    with pytest.raises(SecateurError, match="the budget cannot be reached"):
        make_method(model, settings_for(method, remove=0.95, amounts={}), COSTS["parameters"](model.config))


@pytest.mark.parametrize("method", METHODS[:2])
def test_multiply_accumulates_can_be_the_budget(method: str) -> None:
    model, pruner, _ = run_soft(settings_for(method, measure="macs", remove=0.25), steps=STEPS)
    assert isinstance(pruner, UnitMethod)
    assert COSTS["macs"](pruner.shrunk().config) <= 0.75 * COSTS["macs"](model.config)


def test_amounts_can_take_the_place_of_the_budget() -> None:
    for method in ("gates", "group-lasso"):
        _, pruner, _ = run_soft(settings_for(method, amounts={"ffn": 0.5}), steps=STEPS)
        assert pruner is not None
        assert [w.ffn for w in pruner.shrunk().config.encoder] == [20, 14, 18]


def test_wrong_names_are_known_before_any_work_starts() -> None:
    for settings, message in (
        (settings_for("gate"), "did you mean 'gates'"),
        (settings_for("gates", schedule="cubik"), "did you mean 'cubic'"),
        (settings_for("early-bird", criterion="sined"), "did you mean 'signed'"),
    ):
        with pytest.raises(SecateurError, match=message):
            check_settings(settings)
    check_settings(settings_for("sparse", criterion="movement"))  # single weights have criteria of their own


@pytest.mark.parametrize("method", ["gates", "group-lasso", "early-bird", "gradual"])
def test_a_budget_that_is_met_already_changes_nothing(method: str) -> None:
    _, _, plain = run_soft(None, steps=8)
    model, pruner, log = run_soft(settings_for(method, remove=0.0), steps=8, select="best")
    assert isinstance(pruner, UnitMethod)
    assert pruner.shrunk().config == model.config
    assert [e["loss"] for e in log] == [e["loss"] for e in plain]
