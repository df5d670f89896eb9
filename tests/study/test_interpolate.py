"""Trained weights are drawn back until what was known is kept, with pruned units still gone."""

from __future__ import annotations

import copy
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from small_models import small_whisper  # noqa: E402

from secateur.base.options import from_dict  # noqa: E402
from secateur.prune.methods import make_method  # noqa: E402
from secateur.prune.pruner import COSTS  # noqa: E402
from secateur.prune.settings import PruneSettings  # noqa: E402
from secateur.study.interpolate import SHARES, ShareTrial, choose, interpolated, settle  # noqa: E402
from secateur.train.settings import TrainSettings  # noqa: E402


def state(model: Any) -> dict[str, Any]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def moved(model: Any) -> Any:
    """A model some way from `model`."""
    other = copy.deepcopy(model)
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return other


def test_the_weights_in_between() -> None:
    start, _ = small_whisper()
    trained = moved(start)
    half = interpolated(state(start), state(trained), 0.5)
    for name, value in half.items():
        torch.testing.assert_close(value, (state(start)[name] + state(trained)[name]) / 2)
    assert all(torch.equal(v, state(trained)[n]) for n, v in interpolated(state(start), state(trained), 1.0).items())


def test_the_best_on_dev_among_those_that_forget_little_enough() -> None:
    original = {"en": 0.169, "books": 0.08}
    tried = [
        ShareTrial(1.0, 0.10, {"en": 0.20, "books": 0.081}),
        ShareTrial(0.7, 0.12, {"en": 0.172, "books": 0.083}),
        ShareTrial(0.4, 0.15, {"en": 0.168, "books": 0.079}),
    ]
    assert choose(tried, original).share == 0.7
    assert choose(tried, original, allowed=0.05).share == 1.0
    assert choose([ShareTrial(1.0, 0.1, {"en": 0.3}), ShareTrial(0.5, 0.2, {"en": 0.2})], original).share == 0.5
    same = [ShareTrial(1.0, 0.9, {"en": 0.3}), ShareTrial(0.7, 0.2, {"en": 0.3}), ShareTrial(0.4, 0.2, {"en": 0.3})]
    assert choose(same, original).share == 0.7
    assert choose([ShareTrial(1.0, 0.1, {}), ShareTrial(0.85, 0.1, {})], {}).share == 1.0


def test_a_model_is_left_with_the_chosen_share_and_says_what_was_forgotten(capsys: pytest.CaptureFixture[str]) -> None:
    model, _ = small_whisper()
    start = state(model)
    trained = moved(model)
    ends = state(trained)
    name = "decoder.norm.weight"

    def judge(current: Any) -> tuple[float, dict[str, float]]:
        away = float((current.state_dict()[name] - start[name]).norm() / (ends[name] - start[name]).norm())
        return 0.5 - 0.3 * away, {"people": 0.10 + 0.02 * away**2}

    found = settle(trained, start, {"people": 0.10}, lambda weights: None, judge, "tuned")
    assert found["share"] == 0.4 and found["forgotten"]["people"]["now"] == pytest.approx(0.1032)
    assert [one["share"] for one in found["tried"]] == list(SHARES)
    torch.testing.assert_close(trained.state_dict()[name], start[name] + 0.4 * (ends[name] - start[name]))
    settle(moved(model), start, {"people": 0.01}, lambda weights: None, judge, "tuned")
    assert "WARNING: tuned: no share keeps people within 0.5 points" in capsys.readouterr().err


def test_what_was_pruned_stays_gone() -> None:
    model, _ = small_whisper()
    start = state(model)
    pruner = make_method(model, PruneSettings(method="gradual", remove=0.2, every=1, begin=0.0, end=0.5,
                                              criterion="magnitude"), COSTS["parameters"](model.config))  # fmt: skip
    for step in range(8):
        pruner.after_step(step, 8)
    assert any((mask == 0).any() for mask in pruner.masks.values())
    settle(model, start, {"a": 0.0}, pruner.project, lambda m: (0.0, {"a": 1.0}), "pruned", (0.4,))
    weights = dict(model.named_parameters())
    for name, mask in pruner.masks.items():
        gone = (mask == 0).expand_as(weights[name])
        assert not weights[name].detach()[gone].any()
    kept = next(name for name in weights if name not in pruner.masks)
    torch.testing.assert_close(weights[kept].detach(), start[kept])


def test_the_setting() -> None:
    assert TrainSettings().interpolation == "dev" and TrainSettings().share_trained == 1.0
    assert from_dict(TrainSettings, {"interpolation": 0.6}).share_trained == 0.6
    assert from_dict(TrainSettings, {"interpolation": "dev"}).interpolation == "dev"
