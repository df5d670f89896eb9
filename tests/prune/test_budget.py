"""Plans keep the least harm within the budget, and never pass it."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import small_whisper

from secateur.base.errors import SecateurError
from secateur.families.whisper.cost import count_parameters
from secateur.prune.budget import by_amounts, by_budget, merge, partial_plan, removals
from secateur.prune.schedule import SCHEDULES, cubic
from secateur.prune.shrink import shrink
from secateur.prune.units import COSTS

MODEL, TOKENIZER = small_whisper()
GROUPS = [g for g in MODEL.groups() if g.kind in ("head", "query_key", "value", "ffn", "conv")]


def scores_for(seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {g.name: torch.rand(g.units, generator=generator) for g in GROUPS}


@settings(max_examples=25)
@given(share=st.floats(0.05, 0.3), seed=st.integers(0, 1000), measure=st.sampled_from(sorted(COSTS)))
def test_a_budget_is_met_and_not_overshot(share: float, seed: int, measure: str) -> None:
    cost = COSTS[measure]
    full = cost(MODEL.config)
    target = full * (1 - share)
    keep = by_budget(MODEL.config, GROUPS, scores_for(seed), target, cost)
    small = shrink(MODEL, keep)
    assert cost(small.config) <= target
    assert cost(small.config) > target - 0.12 * full  # the last unit of this small model is a coarse one
    for group in GROUPS:
        size = group.units // group.blocks
        if group.name in keep:
            for block in range(group.blocks):
                assert sum(1 for u in keep[group.name] if u // size == block) >= group.minimum


def test_the_cheapest_harm_goes_first() -> None:
    scores = {g.name: torch.ones(g.units) for g in GROUPS}
    scores["encoder.layers.0.ffn"][:10] = 1e-6
    cost = COSTS["parameters"]
    unit = 2 * MODEL.config.width + 1
    keep = by_budget(MODEL.config, GROUPS, scores, cost(MODEL.config) - 7 * unit, cost)
    assert list(keep) == ["encoder.layers.0.ffn"]
    assert len(keep["encoder.layers.0.ffn"]) == 33
    assert set(range(10, 40)) <= set(keep["encoder.layers.0.ffn"])


def test_scores_without_a_scale_remove_all_kinds_alike() -> None:
    """A head costs as much as many FFN units: by relative score a unit of cost, heads alone would go."""
    cost = COSTS["parameters"]
    target = 0.75 * cost(MODEL.config)
    lost: dict[bool, dict[str, float]] = {}
    for per_cost in (True, False):
        keep = by_budget(
            MODEL.config, GROUPS, scores_for(5), target, cost, ("head", "ffn"), normalise=True, per_cost=per_cost
        )
        units = {kind: [g for g in GROUPS if g.kind == kind] for kind in ("head", "ffn")}
        lost[per_cost] = {
            kind: 1 - sum(len(keep.get(g.name, range(g.units))) for g in groups) / sum(g.units for g in groups)
            for kind, groups in units.items()
        }
    assert lost[True]["head"] > 2 * lost[True]["ffn"]
    assert 0.5 < lost[False]["head"] / lost[False]["ffn"] < 2


def test_a_budget_out_of_reach_says_so() -> None:
    with pytest.raises(SecateurError, match="the budget cannot be reached"):
        by_budget(MODEL.config, GROUPS, scores_for(0), 10.0, COSTS["parameters"])


def test_dimensions_go_equally_from_every_head() -> None:
    group = next(g for g in GROUPS if g.name == "encoder.layers.0.attention.query_key")  # 3 heads of 8
    scores = torch.arange(24.0)
    first = removals(group, scores)[0]
    assert first.units == (0, 8, 16)
    assert len(removals(group, scores)) == 8 - group.minimum


def test_amounts_take_the_least_important_share_by_name_or_kind() -> None:
    scores = scores_for(1)
    keep = by_amounts(GROUPS, scores, {"ffn": 0.25, "decoder.layers.*.self_attention.heads": 0.5})
    assert len(keep["encoder.layers.0.ffn"]) == 30
    assert len(keep["decoder.layers.0.self_attention.heads"]) == 1
    assert "encoder.layers.0.attention.heads" not in keep
    name = "decoder.layers.1.ffn"
    gone = sorted(set(range(32)) - set(keep[name]))
    assert scores[name][gone].max() < scores[name][keep[name]].min()
    with pytest.raises(SecateurError, match="did you mean"):
        by_amounts(GROUPS, scores, {"fnn": 0.25})
    with pytest.raises(SecateurError, match="from 0 to below 1"):
        by_amounts(GROUPS, scores, {"ffn": 1.5})


def test_part_of_a_plan_is_its_least_important_part() -> None:
    scores = scores_for(2)
    final = by_amounts(GROUPS, scores, {"ffn": 0.5})
    half = partial_plan(GROUPS, scores, final, 0.5)
    for name, units in final.items():
        assert set(units) < set(half[name])
        assert len(half[name]) == pytest.approx(
            (len(units) + next(g.units for g in GROUPS if g.name == name)) / 2, abs=1
        )
    assert partial_plan(GROUPS, scores, final, 1.0) == final


def test_merged_plans_keep_what_both_keep() -> None:
    assert merge({"a": [0, 1, 2], "b": [1]}, {"a": [2, 1, 5]}) == {"a": [1, 2], "b": [1]}


def test_schedules() -> None:
    assert cubic(0.0) == 0.0
    assert cubic(0.5) == 0.875  # 1 - 0.5^3
    for schedule in SCHEDULES.values():
        assert schedule(1.0) == 1.0
        values = [schedule(i / 10) for i in range(11)]
        assert values == sorted(values)


def test_counted_parameters_are_the_real_ones() -> None:
    keep = by_amounts(GROUPS, scores_for(3), {"ffn": 0.4, "head": 0.4, "conv": 0.3})
    small = shrink(MODEL, keep)
    assert count_parameters(small.config)["total"] == sum(t.numel() for t in small.state_dict().values())
