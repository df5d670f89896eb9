"""Units go and the others take over: against plain least squares, and in a network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_models import inputs, small_whisper
from soft_runs import settings_for

from secateur.base.errors import SecateurError
from secateur.prune.method import make_method
from secateur.prune.refit import moments_with_one, refit
from secateur.prune.units import COSTS


def linear_and_inputs(bias: bool = True) -> tuple[torch.nn.Linear, torch.Tensor]:
    random = torch.Generator().manual_seed(5)
    mixing = torch.randn(12, 12, generator=random)
    x = torch.randn(400, 12, generator=random) @ mixing + 0.7  # correlated, with a mean
    layer = torch.nn.Linear(12, 5, bias=bias)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(5, 12, generator=random))
    return layer, x


@pytest.mark.parametrize("bias", [True, False])
def test_refitting_is_least_squares(bias: bool) -> None:
    layer, x = linear_and_inputs(bias)
    with torch.no_grad():
        wanted = layer(x).numpy()
    stays = torch.ones(12, dtype=torch.bool)
    stays[[1, 4, 5]] = False
    refit(layer, moments_with_one(layer, x), stays, damp=1e-9)
    design = np.concatenate([x[:, stays].numpy(), *([np.ones((400, 1))] if bias else [])], 1)
    best = design @ np.linalg.lstsq(design, wanted, rcond=None)[0]
    with torch.no_grad():
        found = layer(x).numpy()
    assert (layer.weight[:, ~stays] == 0).all()
    np.testing.assert_allclose(found, best, atol=2e-3 * np.abs(wanted).max())


def test_moments_that_are_not_finite_are_one_line() -> None:
    layer, x = linear_and_inputs()
    with pytest.raises(SecateurError, match="not finite"):
        refit(layer, moments_with_one(layer, x * torch.nan), torch.ones(12, dtype=torch.bool))


@torch.no_grad()
def test_a_refitted_network_says_nearly_what_it_said() -> None:
    """The same units go with and without refitting; what the network says moves several times less with it."""
    moved = {}
    for name in ("gradual", "refit"):
        model, _ = small_whisper()
        given = inputs(model)
        wanted = model(*given)
        method = make_method(
            model,
            settings_for(name, criterion="magnitude", kinds=("ffn", "value"), remove=0.15),
            COSTS["parameters"](model.config),
        )
        if name == "refit":
            method.inputs.start()
            model(*given)
            method.inputs.stop()
        method.prune_to(1.0)
        method.project(dict(model.named_parameters()))
        moved[name] = (float((model(*given) - wanted).square().mean()), method.keep)
    assert moved["gradual"][1] == moved["refit"][1] != {}
    assert moved["refit"][0] < 0.3 * moved["gradual"][0]
