"""Single weights: formulas against loops, exact shares, patterns, and what each method lets come back."""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "train")]

from small_models import small_whisper  # noqa: E402
from train_small import StoppedError, run_small  # noqa: E402

from secateur.base.errors import SecateurError  # noqa: E402
from secateur.prune.counts import matrices, matrix_weights, weights_left  # noqa: E402
from secateur.prune.methods import make_method  # noqa: E402
from secateur.prune.settings import PruneSettings  # noqa: E402
from secateur.prune.weights.choose import lowest_of_all, lowest_of_groups, lowest_of_rows, parse_pattern  # noqa: E402
from secateur.prune.weights.scores import WEIGHT_CRITERIA, WeightEvidence  # noqa: E402

SPARSE = PruneSettings(method="sparse", remove=0.4, criterion="magnitude", begin=0.1, end=0.5, every=3)


def gone(model: Any) -> dict[str, Any]:
    return {name: p.detach() == 0 for name, p in matrices(model)}


def test_all_matrices_are_counted_and_nothing_else() -> None:
    model, _ = small_whisper()
    left_out = ("embedding", "positions", "norm", "bias")
    expected = sum(p.numel() for n, p in model.named_parameters() if not any(part in n for part in left_out))
    assert matrix_weights(model) == expected == weights_left(model)


@pytest.mark.parametrize("criterion", ["magnitude", "taylor", "movement", "wanda", "random"])
def test_exactly_the_share_is_zero_and_stays_zero(criterion: str) -> None:
    model, pruner, log = run_small(None, prune=replace(SPARSE, criterion=criterion))
    total = matrix_weights(model)
    assert weights_left(model) == total - round(0.4 * total)
    assert log[-1]["kept"] == pytest.approx(0.6, abs=1e-3)
    kept = [entry["kept"] for entry in log]
    assert kept == sorted(kept, reverse=True)
    assert weights_left(pruner.shrunk()) == weights_left(model)


def test_scopes_and_amounts() -> None:
    model, _, _ = run_small(None, prune=replace(SPARSE, scope="layer"))
    for name, zeros in gone(model).items():
        assert int(zeros.sum()) == round(0.4 * zeros.numel()), name
    model, _, _ = run_small(None, prune=replace(SPARSE, scope="row"))
    for name, zeros in gone(model).items():
        rows = zeros.flatten(1)
        assert rows.sum(1).unique().tolist() == [round(0.4 * rows.shape[1])], name
    model, _, _ = run_small(None, prune=replace(SPARSE, amounts={"decoder.layers.*.self_attention.*": 0.5}))
    for name, zeros in gone(model).items():
        assert int(zeros.sum()) == (round(0.5 * zeros.numel()) if "self_attention" in name else 0), name
    with pytest.raises(SecateurError, match="no weight matrix matches"):
        make_method(model, replace(SPARSE, amounts={"decoder.layer.*": 0.5}), 1.0)


def test_two_of_every_four_stay() -> None:
    model, _, _ = run_small(None, prune=replace(SPARSE, pattern="2:4"))
    for name, zeros in gone(model).items():
        rows = zeros.flatten(1)
        groups = rows[:, : rows.shape[1] // 4 * 4].reshape(-1, 4).sum(1)
        assert groups.unique().tolist() == [2], name
    with pytest.raises(SecateurError, match="not N:M"):
        parse_pattern("4:2")


def test_choices_against_loops() -> None:
    torch.manual_seed(0)
    scores = {"a": torch.rand(5, 8), "b": torch.rand(3, 4, 3)}
    chosen = lowest_of_all(scores, 0.3)
    limit = sorted(torch.cat([s.flatten() for s in scores.values()]).tolist())[round(0.3 * 76) - 1]
    assert all(torch.equal(chosen[n], scores[n] <= limit) for n in scores)
    rows = lowest_of_rows(scores["a"], 0.25)
    groups = lowest_of_groups(scores["a"], 1, 4)
    for r in range(5):
        line = scores["a"][r].tolist()
        assert sorted(line)[:2] == sorted(v for v, g in zip(line, rows[r], strict=True) if g)
        for start in (0, 4):
            stays = [i for i in range(start, start + 4) if not groups[r, i]]
            assert stays == [max(range(start, start + 4), key=line.__getitem__)]
    half = lowest_of_groups(scores["a"], 1, 4, share=0.5)
    assert int(half.sum()) == 15 and bool((groups | ~half).all())


def test_scores_against_their_formulas() -> None:
    torch.manual_seed(0)
    weight, square, moved, inputs = torch.randn(3, 4), torch.rand(3, 4), torch.randn(3, 4), torch.rand(4)
    evidence = WeightEvidence(square, moved, inputs, seed=3)
    for r in range(3):
        for c in range(4):
            value = float(weight[r, c])
            expected = {
                "magnitude": abs(value), "taylor": float(square[r, c]) ** 0.5, "movement": float(moved[r, c]),
                "wanda": abs(value) * float(inputs[c]),
            }  # fmt: skip
            for name, number in expected.items():
                assert float(WEIGHT_CRITERIA[name](weight, evidence)[r, c]) == pytest.approx(number, rel=1e-6)
    again = WEIGHT_CRITERIA["random"](weight, evidence)
    assert torch.equal(again, WEIGHT_CRITERIA["random"](weight, evidence))


def test_movement_gathers_minus_gradient_times_weight() -> None:
    model, _ = small_whisper()
    pruner: Any = make_method(model, replace(SPARSE, criterion="movement"), 1.0)
    expected: dict[str, Any] = {}
    for scale in (1.0, -2.0, 0.5):
        for name, p in pruner.weights.items():
            p.grad = scale * torch.ones_like(p)
            expected[name] = expected.get(name, 0.0) * 0.97 - scale * p.detach()
        pruner.after_backward(0, 10)
    assert all(torch.allclose(pruner.sums[n], expected[n]) for n in expected)


@pytest.mark.parametrize(("method", "returns"), [("sparse", False), ("parp", True), ("rigl", True)])
def test_what_was_zero_may_return_or_not(method: str, returns: bool) -> None:
    torch.manual_seed(0)
    model, _ = small_whisper()
    pruner: Any = make_method(model, replace(SPARSE, method=method, schedule="linear"), 1.0)
    history = []
    for step in range(24):
        for p in pruner.weights.values():
            p.grad = torch.randn_like(p)
        pruner.after_backward(step, 24)
        with torch.no_grad():
            for p in pruner.weights.values():
                p -= 0.02 * p.grad
        pruner.after_step(step, 24)
        pruner.project(dict(model.named_parameters()))
        history.append({n: m == 0 for n, m in pruner.masks.items()})
    marked = [h for h in history if h]
    came_back = any(bool((a[n] & ~b[n]).any()) for a, b in pairwise(marked) for n in a)
    assert came_back == returns
    assert weights_left(model) <= matrix_weights(model) - round(0.4 * matrix_weights(model)) + len(pruner.weights)


def test_rewinding_puts_kept_weights_back_exactly() -> None:
    model, _ = small_whisper()
    pruner: Any = make_method(model, replace(SPARSE, method="rewind", begin=0.1, end=0.9), 1.0)
    for step in range(20):
        with torch.no_grad():
            for p in pruner.weights.values():
                p += 0.01 * torch.randn_like(p)
        pruner.after_step(step, 20)
        if step == 1:
            early = {n: p.detach().clone() for n, p in pruner.weights.items()}
        if step in (5, 9, 13, 17):  # the rounds' ends: what is kept is bit for bit what it was
            assert all(torch.equal(p, early[n] * pruner.masks[n]) for n, p in pruner.weights.items())
    assert pruner.done and pruner.metrics()["kept"] == pytest.approx(0.6, abs=1e-3)


@pytest.mark.parametrize("method", ["sparse", "parp", "rigl", "rewind"])
def test_a_resumed_run_ends_as_an_undisturbed_one(method: str, tmp_path: Path) -> None:
    settings = replace(SPARSE, method=method, criterion="taylor" if method == "sparse" else "magnitude", end=0.9)
    whole, _, _ = run_small(tmp_path / "whole", prune=settings)
    with pytest.raises(StoppedError):
        run_small(tmp_path / "cut", prune=settings, stop=10)
    resumed, _, _ = run_small(tmp_path / "cut", prune=settings)
    for (name, a), b in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
