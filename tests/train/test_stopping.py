"""Early stopping, and the pull of the start."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from small_models import small_whisper  # noqa: E402
from train_small import PRUNE, SETTINGS, Stop, StoppedError, TrainingRun, small_job, train  # noqa: E402

from secateur.prune.method import make_method  # noqa: E402
from secateur.prune.units import COSTS  # noqa: E402
from secateur.train.averages import L2SP, WeightAverages  # noqa: E402
from secateur.train.run import Callback  # noqa: E402
from secateur.train.settings import TrainSettings  # noqa: E402

ERRORS = [5.0, 3.0, 4.0, 3.5, 2.0, 2.5, 2.5, 2.0, 1.0, 1.0, 1.0, 1.0]  # best at the 2nd, then at the 5th, the 9th


class Course:
    """Validations whose errors are given, and what the weights were at each."""

    def __init__(self, errors: list[float]) -> None:
        self.errors, self.seen = errors, []  # type: tuple[list[float], list[Any]]

    def __call__(self, model: Any) -> dict[str, float]:
        self.seen.append([p.detach().clone() for p in model.parameters()])
        return {"error": self.errors[len(self.seen) - 1]}


def run_course(
    folder: Path | None, errors: list[float], callbacks: tuple[Callback, ...] = (), **changed: Any
) -> tuple[Any, Course, list[dict[str, Any]]]:
    """Train with a validation every few steps."""
    model, bank, mix, objective = small_job()
    course = Course(errors)
    if "prune" in changed:
        callbacks += (make_method(model, changed.pop("prune"), COSTS["parameters"](model.config)),)
    run = TrainingRun(bank, mix, objective, callbacks=callbacks, validate=course, folder=folder)
    return model, course, train(model, run, TrainSettings(**{**SETTINGS, "steps": 48, "select": "last", **changed}))


@cache
def undisturbed(patience: int) -> tuple[Any, Course, list[dict[str, Any]]]:
    """A whole run; tests look at it and leave it as it is."""
    return run_course(None, ERRORS, patience=patience)


@pytest.mark.parametrize(
    ("patience", "validations", "best"), [(0, 12, 11), (1, 3, 1), (2, 4, 1), (3, 8, 4), (4, 12, 8)]
)
def test_a_run_stops_after_so_many_validations_without_a_better_one(patience: int, validations: int, best: int) -> None:
    model, course, log = undisturbed(patience)
    assert len(log) == len(course.seen) == validations
    stopped = log[-1].get("stopped")
    assert stopped == (log[-1]["step"] if 0 < patience < 4 else None)
    assert all("stopped" not in entry for entry in log[:-1])
    result = list(model.parameters())
    assert all(torch.equal(a, b) for a, b in zip(result, course.seen[best], strict=True))


def test_patience_waits_for_the_pruner() -> None:
    """Validations of a network that is not yet small enough do not count."""
    _, _, log = run_course(None, [1.0 + i for i in range(12)], patience=2, prune=PRUNE)
    done = next(i for i, entry in enumerate(log) if entry["kept"] <= 0.85)
    assert done > 2
    assert len(log) == done + 3
    assert log[-1]["stopped"] == log[-1]["step"] < log[-1]["total"]


@pytest.mark.parametrize("stop", [10, 14])
def test_a_broken_off_run_stops_where_an_undisturbed_one_does(stop: int, tmp_path: Path) -> None:
    whole, _, log = undisturbed(2)
    with pytest.raises(StoppedError):
        run_course(tmp_path, ERRORS, (Stop(stop),), patience=2, save_every=4)
    done = stop // 4
    again, course, later = run_course(tmp_path, ERRORS[done:], patience=2, save_every=4)
    assert len(course.seen) == len(log) - done
    assert later[-1]["stopped"] == log[-1]["stopped"]
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters(), strict=True))
    third, course, _ = run_course(tmp_path, [], patience=2, save_every=4)  # it stays stopped
    assert course.seen == []
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), third.parameters(), strict=True))


def test_the_pull_is_the_gradient_of_the_squared_distance_without_what_is_gone() -> None:
    model, _ = small_whisper()
    pull = L2SP(model, 0.5)
    weight, bias = model.encoder.layers[0].ffn.up.weight, model.encoder.norm.bias
    with torch.no_grad():
        weight[0, :3] += torch.tensor([1.0, -2.0, 0.5])
        bias[1] += 3.0
        weight[1].zero_()
    bias.grad = torch.full_like(bias, 0.25)
    pull.after_backward(0, 1)
    assert weight.grad[0, :3].tolist() == pytest.approx([1.0, -2.0, 0.5], rel=1e-4)
    assert (weight.grad[1:] == 0).all() and (model.encoder.norm.weight.grad == 0).all()
    assert bias.grad[:3].tolist() == pytest.approx([0.25, 3.25, 0.25], rel=1e-4)


def test_a_strong_pull_keeps_the_weights_near_the_start() -> None:
    start, _ = small_whisper()

    def moved(strength: float) -> float:
        model, _, _ = run_course(None, ERRORS, steps=24, l2_sp=strength)
        pairs = zip(model.parameters(), start.parameters(), strict=True)
        return float(sum((a - b).detach().square().sum() for a, b in pairs))

    assert moved(100.0) < 0.2 * moved(0.0)


def test_the_average_starts_anew_when_nothing_more_is_removed() -> None:
    """With a long average, weights from before the last removal would make up most of the result."""
    model, _ = small_whisper()
    parameters = dict(model.named_parameters())
    kept = WeightAverages(parameters, TrainSettings(ema=0.999), lambda weights: None)
    name, weight = next((n, p) for n, p in parameters.items() if p.dim() > 1)
    before, after = torch.full_like(weight, 1.0), torch.full_like(weight, 5.0)
    with torch.no_grad():
        for step in range(40):
            weight.copy_(before if step < 20 else after)
            kept.update(step, ready=step >= 20)
            if step == 19:
                assert float(kept.current()[name].mean()) < 2
    assert torch.allclose(kept.current()[name], after)
    tensors, values = kept.tensors()
    again = WeightAverages(parameters, TrainSettings(ema=0.999), lambda weights: None)
    again.load(tensors, values)
    assert again.since == kept.since == 20
