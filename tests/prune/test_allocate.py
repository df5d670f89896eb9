"""Allocation: harm per saving, hulls, maps; the plan is a better one by the harm it was given."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from small_models import small_whisper

from secateur.base.errors import SecateurError
from secateur.models.groups import Group
from secateur.prune.allocate import hull, measured_curves, scored_curves, search, shares, uniform
from secateur.prune.budget import by_amounts
from secateur.prune.method import check_settings
from secateur.prune.sensitivity_map import Effect, Measured, SensitivityMap
from secateur.prune.settings import PruneSettings, Target, parse_target
from secateur.prune.units import COSTS


def effect(delta: float) -> Effect:
    return Effect(delta, delta - 0.01, delta + 0.01, 0.5, 1.0, 20)


def a_map(groups: list[Group], sites: list[Measured]) -> SensitivityMap:
    units = {g.name: g.units for g in groups}
    return SensitivityMap("small", "dev", "en", "wer", 20, 4, 0.3, 2.0, "taylor", units, tuple(sites))


def small_case() -> tuple[object, list[Group], dict[str, torch.Tensor]]:
    model, _ = small_whisper()
    groups = [g for g in model.groups() if g.kind in ("ffn", "head", "value", "conv")]
    random = torch.Generator().manual_seed(0)
    return model.config, groups, {g.name: torch.rand(g.units, generator=random) for g in groups}


@pytest.mark.parametrize("share", [0.9, 0.7])
@pytest.mark.parametrize("measure", ["parameters", "macs"])
def test_every_way_meets_the_budget_and_search_does_the_least_harm(share: float, measure: str) -> None:
    config, groups, scores = small_case()
    cost, curves = COSTS[measure], scored_curves(groups, scores)
    target = share * cost(config)
    plans = {
        "uniform": uniform(config, groups, scores, target, cost, 0.9),
        "search": search(config, groups, scores, curves, target, cost, 0.9),
    }
    harm = {}
    for name, keep in plans.items():
        assert 0.93 * target < cost(config.shrunk(dict(keep))) <= target
        harm[name] = sum(curves[g.name][(g.units - len(keep.get(g.name, range(g.units)))) // g.blocks] for g in groups)
        again = by_amounts(groups, scores, shares(groups, keep))  # what a training run makes of it
        assert {n: len(k) for n, k in again.items()} == {n: len(k) for n, k in keep.items() if n in again}
    assert harm["search"] < 0.97 * harm["uniform"]
    gone = [1 - len(plans["uniform"].get(g.name, range(g.units))) / g.units for g in groups if g.units > 20]
    assert max(gone) - min(gone) < 0.15


def test_search_is_the_best_choice_of_all_where_all_can_be_tried() -> None:
    """Three groups of equal cost: every way to remove so many units is tried."""
    model, _ = small_whisper()
    names = [f"encoder.layers.{i}.ffn" for i in range(3)]
    groups = [g for g in model.groups() if g.name in names]
    curves = {n: np.cumsum([0.0, *np.random.default_rng(i).uniform(0, 1, 40).cumsum()]) for i, n in enumerate(names)}
    scores = {g.name: torch.arange(g.units, dtype=torch.float32) for g in groups}
    cost = COSTS["parameters"]
    one = cost(model.config) - cost(model.config.shrunk({names[0]: list(range(39))}))
    keep = search(model.config, groups, scores, curves, cost(model.config) - 12 * one, cost, 0.9)
    found = [g.units - len(keep.get(g.name, range(g.units))) for g in groups]
    ways = (w for w in itertools.product(range(13), repeat=3) if sum(w) == 12)
    best = min(sum(curves[n][c] for n, c in zip(names, w, strict=True)) for w in ways)
    assert sum(found) == 12
    assert sum(curves[n][c] for n, c in zip(names, found, strict=True)) == pytest.approx(best)


def test_hulls_lie_below_and_are_convex() -> None:
    curve = np.random.default_rng(0).standard_normal(50).cumsum()
    below = hull(curve)
    assert (below <= curve + 1e-9).all() and (np.diff(below, 2) > -1e-9).all()
    assert below[0] == curve[0] and below[-1] == curve[-1]


def test_a_map_says_where_to_cut_and_what_helps_goes_first() -> None:
    config, groups, scores = small_case()
    ffn, heads = "encoder.layers.0.ffn", "decoder.layers.0.cross_attention.heads"
    sites = [
        Measured(ffn, "ffn", "encoder 0", "ffn", 0.25, {ffn: "0-9"}, error=effect(0.02), loss=effect(0.1)),
        Measured(ffn, "ffn", "encoder 0", "ffn", 0.5, {ffn: "0-19"}, error=effect(0.08), loss=effect(0.4)),
        *(
            Measured(
                f"{heads}[{i}]",
                "head",
                "decoder 0",
                "cross heads",
                1 / 3,
                {heads: str(i)},
                loss=effect(d),
                error=effect(-d),
            )  # luck: not looked at
            for i, d in enumerate((-0.01, 0.03, 0.002))
        ),
        Measured("encoder.conv", "conv", "input", "conv", 0.5, {"encoder.conv": "0-9"}, loss=effect(0.05)),
        Measured("sample_rate", "sample_rate", "input", "rate", 0.5, {}, {"sample_rate": 8000}, error=effect(0.1)),
    ]
    curves = measured_curves(groups, scored_curves(groups, scores), a_map(groups, sites))
    assert curves[ffn][10] == pytest.approx(0.1) and curves[ffn][15] == pytest.approx(0.25)
    assert curves[ffn][20] == pytest.approx(0.4) and curves[ffn][30] >= 0.7
    assert list(curves[heads][:3]) == pytest.approx([0, -0.01, -0.008])
    assert curves["encoder.conv"][10] == pytest.approx(0.05)
    by_error = measured_curves(groups, scored_curves(groups, scores), a_map(groups, sites), "error")
    assert by_error[ffn][20] == pytest.approx(0.08) and by_error[heads][1] == pytest.approx(-0.03)
    assert by_error["encoder.conv"][10] == pytest.approx(0.2 * 0.05)  # not decoded: its loss, at the median rate
    cost = COSTS["parameters"]
    keep = search(config, groups, scores, curves, 0.995 * cost(config), cost, 0.9)
    assert len(keep[heads]) == 2
    other = a_map(groups, sites)
    other.groups[ffn] = 99
    with pytest.raises(SecateurError, match="knows 99 units, the model has 40"):
        measured_curves(groups, scored_curves(groups, scores), other)


def test_targets_are_read_or_refused_in_one_line() -> None:
    assert parse_target("size=0.25") == Target("size", 0.25) and parse_target("wer=+0") == Target("wer", 0)
    for text, message in (
        ("latncy=0.5", "did you mean 'latency'"), ("latency", "a share of the dense"), ("macs=1.5", "found '1.5'"),
        ("wer=-1", "points of error rate"),
    ):  # fmt: skip
        with pytest.raises(SecateurError, match=message):
            check_settings(PruneSettings(target=text))
    with pytest.raises(SecateurError, match="not by 'sparse'"):
        check_settings(PruneSettings(target="macs=0.5", method="sparse"))
    with pytest.raises(SecateurError, match="leave out target, or amounts and plan"):
        check_settings(PruneSettings(target="macs=0.5", amounts={"ffn": 0.5}))


def test_out_of_reach_is_an_error() -> None:
    config, groups, scores = small_case()
    for plan in (
        lambda cost: uniform(config, groups, scores, 1.0, cost, 0.9),
        lambda cost: search(config, groups, scores, scored_curves(groups, scores), 1.0, cost, 0.9),
    ):
        with pytest.raises(SecateurError, match="the budget cannot be reached"):
            plan(COSTS["parameters"])
