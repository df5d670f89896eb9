"""Low-rank updates: the start is the model, only they learn, and merging changes nothing."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from small_models import inputs, small_whisper  # noqa: E402
from train_small import StoppedError, run_small  # noqa: E402

from secateur.base.errors import SecateurError  # noqa: E402
from secateur.train.lora import LowRankLinear, linear_layers, low_rank, rank_for  # noqa: E402
from secateur.train.settings import TrainSettings  # noqa: E402


def test_the_start_is_the_model_and_the_merged_model_is_the_wrapped_one() -> None:
    model, _ = small_whisper()
    with torch.no_grad():
        start = model(*inputs(model))
        with low_rank(model, TrainSettings(lora_rank=3)):
            assert all(isinstance(m, LowRankLinear) for m in model.modules() if isinstance(m, torch.nn.Linear))
            torch.testing.assert_close(model(*inputs(model)), start, rtol=0, atol=0)
            for name, parameter in model.named_parameters():
                if name.endswith(".up"):
                    parameter.copy_(0.1 * torch.randn(parameter.shape))
            wrapped = model(*inputs(model))
        assert (wrapped - start).abs().max() > 0.1
        torch.testing.assert_close(model(*inputs(model)), wrapped, rtol=1e-5, atol=1e-5)
    fresh, _ = small_whisper()
    assert [n for n, _ in model.named_parameters()] == [n for n, _ in fresh.named_parameters()]
    assert [p.requires_grad for p in model.parameters()] == [p.requires_grad for p in fresh.parameters()]
    assert all(type(a) is type(b) for a, b in zip(model.modules(), fresh.modules(), strict=True))


def test_training_changes_linear_weights_by_the_rank_and_nothing_else() -> None:
    start, _ = small_whisper()
    model, _, log = run_small(None, prune=None, lora_rank=2, learning_rate=2e-2, steps=40)
    assert log[-1]["loss"] < 0.8 * log[0]["loss"]
    linear = {f"{name}.weight" for name in linear_layers(start)}
    for name, before in start.named_parameters():
        change = (dict(model.named_parameters())[name] - before).detach()
        if name in linear:
            sizes = torch.linalg.svdvals(change.double())
            assert sizes[0] > 1e-4
            assert (sizes[2:] < 1e-5 * sizes[0]).all(), name
        else:
            assert torch.equal(change, torch.zeros_like(change)), name


def test_the_share_is_that_of_the_trained_numbers() -> None:
    model, _ = small_whisper()
    whole = sum(p.numel() for p in model.parameters())
    for share in (0.1, 0.4):
        rank = rank_for(model, share)
        counts = []
        for tried in (rank, rank + 1):
            twin = copy.deepcopy(model)
            with low_rank(twin, TrainSettings(lora_rank=tried)):
                counts.append(sum(p.numel() for p in twin.parameters() if p.requires_grad))
        assert counts[0] <= share * whole < counts[1]
    twin = copy.deepcopy(model)
    with low_rank(twin, TrainSettings(lora_share=0.1)):
        trained = sum(p.numel() for p in twin.parameters() if p.requires_grad)
    assert 0.05 * whole < trained <= 0.1 * whole


def test_a_broken_off_run_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    whole, _, _ = run_small(None, prune=None, lora_rank=2, steps=12)
    with pytest.raises(StoppedError):
        run_small(tmp_path, prune=None, lora_rank=2, steps=12, stop=6)
    again, _, _ = run_small(tmp_path, prune=None, lora_rank=2, steps=12)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters(), strict=True))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lora_rank": 2, "lora_share": 0.1}, "give one of the two"),
        ({"lora_rank": -1}, "lora_rank must be at least 0, found -1"),
        ({"lora_share": 1.5}, "lora_share must be at least 0 and at most 1, found 1.5"),
        ({"lora_share": 1.0}, "have at most"),
        ({"lora_rank": 2, "interpolation": 0.5}, "interpolation"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], message: str) -> None:
    model, _ = small_whisper()
    with pytest.raises(SecateurError, match=message), low_rank(model, TrainSettings(**settings)):
        pass
    assert all(type(m) is torch.nn.Linear for m in model.modules() if isinstance(m, torch.nn.Linear))
