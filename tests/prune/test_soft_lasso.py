"""Group lasso: the number itself, its slope at zero, and what it does to units."""

from __future__ import annotations

import math

import pytest
import torch
from small_models import small_whisper
from soft_runs import KINDS, run_soft, settings_for

from secateur.models.groups import Group
from secateur.prune.soft.lasso import GroupLasso, group_lasso, lasso_slope
from secateur.prune.units import COSTS


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


def test_the_slope_is_that_of_the_penalty_and_finite_where_nothing_is_left() -> None:
    model, _ = small_whisper()
    groups = [g for g in model.groups() if g.kind in (*KINDS, "layer")]
    ffn = model.decoder.layers[0].ffn
    with torch.no_grad():
        for parameter in (ffn.up.weight[3], ffn.up.bias[3:4], ffn.down.weight[:, 3]):
            parameter.zero_()
    group_lasso(groups, dict(model.named_parameters())).backward()
    slopes = lasso_slope(groups, {n: p.detach() for n, p in model.named_parameters()})
    named = dict(model.named_parameters())
    assert {n for n, p in named.items() if p.grad is not None} == set(slopes)
    for name, slope in slopes.items():
        torch.testing.assert_close(slope, named[name].grad, rtol=1e-4, atol=1e-6)
        assert slope.isfinite().all()
    assert (slopes["decoder.layers.0.ffn.up.weight"][3] == 0).all()


def test_pressure_grows_from_nothing_to_its_share_of_the_gradient() -> None:
    model, _ = small_whisper()
    method = GroupLasso(model, settings_for("group-lasso", pressure=0.5), COSTS["parameters"](model.config))
    named = dict(model.named_parameters())
    slopes = lasso_slope(method.pressed, named)
    torch.manual_seed(0)
    start = {n: torch.randn_like(p) for n, p in named.items() if p.requires_grad}
    norm = torch.cat([g.flatten() for g in start.values()]).norm()
    for step, share in ((5, 0.0), (10, 0.01), (34, 0.25), (59, 0.5)):  # from step 10 to step 60
        for name, gradient in start.items():
            named[name].grad = gradient.clone()
        method.after_backward(step, 100)
        added = {n: named[n].grad - g for n, g in start.items()}
        length = torch.cat([a.flatten() for a in added.values()]).norm()
        assert float(length / norm) == pytest.approx(share, rel=1e-3)
        if share > 0.1:
            along = sum(float((added[n] * s).sum()) for n, s in slopes.items())
            whole = torch.cat([s.flatten() for s in slopes.values()]).norm() * length
            assert along == pytest.approx(float(whole.detach()), rel=1e-3)


def test_pressed_units_get_smaller_and_the_smallest_go() -> None:
    left = {}
    for pressure in (0.0, 2.0):
        _, method, log = run_soft(settings_for("group-lasso", pressure=pressure, end=0.9), steps=60)
        left[pressure] = next(e["lasso"] for e in reversed(log) if e["kept"] == 1)
        assert method is not None
    assert left[2.0] < 0.97 * left[0.0]


def test_a_unit_that_is_pressed_to_nothing_goes_first_whatever_it_costs() -> None:
    model, _ = small_whisper()
    method = GroupLasso(model, settings_for("group-lasso", remove=0.02), COSTS["parameters"](model.config))
    ffn = model.encoder.layers[2].ffn
    with torch.no_grad():
        for parameter in (ffn.up.weight[[4, 9]], ffn.up.bias[[4, 9]], ffn.down.weight[:, [4, 9]]):
            assert (parameter != 0).any()
        ffn.up.weight[[4, 9]], ffn.up.bias[[4, 9]], ffn.down.weight[:, [4, 9]] = 1e-6, 0.0, 1e-6
    method.after_step(59, 100)
    assert not {4, 9} & set(method.keep["encoder.layers.2.ffn"])
    assert all("heads" not in name for name in method.keep)
