"""Group lasso: the number itself, its slope at zero, and what it does to units."""

from __future__ import annotations

import math

import pytest
import torch
from small_models import small_whisper
from soft_runs import KINDS, run_soft, settings_for

from secateur.models.groups import Group
from secateur.prune.soft.lasso import GroupLasso, group_lasso


def unit_values(group: Group, unit: int, weights: dict[str, torch.Tensor]) -> torch.Tensor:
    """All values of one unit, cut out place by place."""
    parts = []
    for place in group.places:
        weight = weights[place.parameter]
        if place.unit is None:
            parts.append(weight.narrow(place.dim, unit * place.width, place.width).flatten())
        elif place.unit == unit:
            parts.append(weight.flatten())
    return torch.cat(parts)


def test_the_penalty_is_the_sum_over_units_taken_one_by_one() -> None:
    model, _ = small_whisper()
    groups = [g for g in model.groups() if g.kind in (*KINDS, "layer")]
    weights = {n: p.detach() for n, p in model.named_parameters()}
    total = 0.0
    for group in groups:
        for unit in range(group.units):
            values = unit_values(group, unit, weights)
            total += math.sqrt(len(values)) * float(values.norm())
    assert float(group_lasso(groups, weights)) == pytest.approx(total, rel=1e-5)


def test_the_slope_pulls_along_the_unit_and_is_finite_where_nothing_is_left() -> None:
    model, _ = small_whisper()
    group = next(g for g in model.groups() if g.name == "decoder.layers.0.ffn")
    ffn = model.decoder.layers[0].ffn
    with torch.no_grad():
        for parameter in (ffn.up.weight[3], ffn.up.bias[3:4], ffn.down.weight[:, 3]):
            parameter.zero_()
    group_lasso([group], dict(model.named_parameters())).backward()
    weights = {n: p.detach() for n, p in model.named_parameters()}
    values = unit_values(group, 5, weights)
    expected = math.sqrt(len(values)) * ffn.up.weight[5].detach() / values.norm()
    torch.testing.assert_close(ffn.up.weight.grad[5], expected, rtol=1e-4, atol=1e-6)
    assert (ffn.up.weight.grad[3] == 0).all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_pressure_grows_from_nothing_and_empties_the_weakest_units() -> None:
    model, _ = small_whisper()
    lasso = GroupLasso(model, settings_for("group-lasso", pressure=8.0), 1e5)
    assert lasso.penalty(0, 100) is None  # begins at step 10
    values = [float(lasso.penalty(step, 100).detach()) for step in (10, 34, 59)]  # type: ignore[union-attr]
    assert values == pytest.approx([8 / 50, 4.0, 8.0], rel=1e-4)
    left = {}
    for pressure in (0.0, 50.0):
        _, _, log = run_soft(settings_for("group-lasso", pressure=pressure, end=0.9), steps=60)
        left[pressure] = next(e["lasso"] for e in reversed(log) if e["kept"] == 1)
    assert left[50.0] < 0.97 * left[0.0]
