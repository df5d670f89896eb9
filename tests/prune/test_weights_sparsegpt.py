"""SparseGPT on least squares, and what is collected for it against brute force."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from secateur.base.errors import SecateurError
from secateur.prune.weights.inputs import InputCollector, gram, squares
from secateur.prune.weights.one_shot import inverse_factor, sparsegpt
from secateur.prune.weights.scores import WEIGHT_CRITERIA, WeightEvidence
from secateur.prune.weights.threshold import as_rows, lowest, lowest_of_groups, lowest_of_rows


def problem(outputs: int = 40, inputs: int = 96, rows: int = 600) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights (out, in) and inputs (rows, in) that go together and differ in size, as activations do."""
    generator = torch.Generator().manual_seed(0)
    causes = torch.randn(rows, inputs // 3, generator=generator)
    mixed = causes @ torch.randn(inputs // 3, inputs, generator=generator)
    x = (mixed + torch.randn(rows, inputs, generator=generator)) * torch.rand(inputs, generator=generator)
    return torch.randn(outputs, inputs, generator=generator), x


def error(weight: torch.Tensor, other: torch.Tensor, x: torch.Tensor) -> float:
    return float((x @ (weight - other).T).square().sum() / (x @ weight.T).square().sum())


@pytest.mark.parametrize("block", [128, 16, 7])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.8])
def test_it_beats_magnitude_and_wanda(share: float, block: int) -> None:
    weight, x = problem()
    solved, mask = sparsegpt(weight, x.T @ x, share, block=block)
    assert int((solved == 0).sum()) == int((~mask).sum()) == round(share * weight.numel())
    wanda = WEIGHT_CRITERIA["wanda"](weight, WeightEvidence("w", inputs=x.square().mean(0).sqrt()))
    by_wanda = error(weight, weight * ~lowest_of_rows(wanda, share), x)
    by_magnitude = error(weight, weight * ~lowest(weight.abs(), round(share * weight.numel())), x)
    assert error(weight, solved, x) < (0.7 if share <= 0.5 else 1.0) * min(by_wanda, by_magnitude)
    assert error(weight, solved, x) < error(weight, weight * mask, x)  # what stays has moved, to good purpose


@pytest.mark.parametrize(("n", "m"), [(2, 4), (4, 8)])
def test_patterns_hold_and_beat_wanda(n: int, m: int) -> None:
    weight, x = problem(inputs=99)  # three inputs beyond the last group
    solved, mask = sparsegpt(weight, x.T @ x, pattern=(n, m))
    assert (solved[:, :96] == 0).view(40, -1, m).sum(-1).unique().tolist() == [m - n]
    assert mask[:, 96:].all()
    wanda = weight.abs() * x.square().mean(0).sqrt()
    assert error(weight, solved, x) < error(weight, weight * ~lowest_of_groups(wanda, n, m), x)


def test_what_stays_is_the_least_squares_solution() -> None:
    """When the first column goes from every row, the other columns' best fit is what least squares finds."""
    weight, x = problem(inputs=12)
    weight, x = weight.double(), x.double()
    steps = inverse_factor(x.T @ x, damp=0.0)[0].diagonal()
    weight[:, 0] = 0.5 * steps[0] * (weight / steps)[:, 1:].abs().min()  # cheaper to remove than any other
    solved, mask = sparsegpt(weight, x.T @ x, share=1 / 12, damp=0.0)
    assert not mask[:, 0].any()
    best = torch.linalg.lstsq(x[:, 1:], x @ weight.T).solution.T
    moved = (best - weight[:, 1:]).abs().max()
    torch.testing.assert_close(solved[:, 1:], best, rtol=0.0, atol=1e-6 * float(moved))


def test_inputs_that_never_come_and_too_few_rows() -> None:
    weight, x = problem(rows=20)  # fewer rows than inputs: the Hessian has no inverse
    x[:, 5] = 0.0
    solved, mask = sparsegpt(weight, x.T @ x, 0.25, damp=0.0)
    assert solved.isfinite().all()
    assert not mask[:, 5].any()  # costs nothing, goes first
    assert error(weight, solved, x) < error(weight, weight * ~lowest(weight.abs(), round(0.25 * weight.numel())), x)
    upper, dead = inverse_factor(torch.diag(torch.tensor([4.0, 0.0, 1.0])), damp=0.5)
    assert dead.tolist() == [False, True, False]
    ridge = 0.5 * 5 / 3
    torch.testing.assert_close(upper.T @ upper, torch.diag(1 / torch.tensor([4 + ridge, ridge, 1 + ridge])).double())
    with pytest.raises(SecateurError, match="not finite"):
        sparsegpt(weight, torch.full((96, 96), torch.nan), 0.5)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Linear(6, 4, bias=False), (3, 5, 6)), (nn.Conv1d(6, 4, 3, stride=2, padding=1, bias=False), (3, 6, 11)),
        (nn.Conv2d(2, 4, (3, 2), stride=(2, 1), padding=(1, 0), bias=False), (3, 2, 9, 6)),
    ],
)  # fmt: skip
def test_second_moments_explain_the_outputs_energy(layer: nn.Module, shape: tuple[int, ...]) -> None:
    """|X w|^2 = w^T (X^T X) w for every output, whatever the layer's way of reading."""
    torch.manual_seed(0)
    x = torch.randn(shape)
    feature = -1 if isinstance(layer, nn.Linear) else 1
    energy = layer(x).movedim(feature, -1).flatten(0, -2).square().mean(0)
    rows = as_rows(layer.weight)  # type: ignore[arg-type]
    torch.testing.assert_close(((rows @ gram(layer, x)) * rows).sum(1), energy)
    columns = x.movedim(feature, -1).flatten(0, -2)
    expected = torch.tensor([float((columns[:, c] ** 2).mean()) for c in range(columns.shape[1])])
    torch.testing.assert_close(squares(layer, x), expected)


def test_collectors_listen_only_between_start_and_stop_and_in_fp32() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(6, 8), nn.Conv1d(8, 8, 3, groups=8), nn.Linear(9, 2))
    batches = [torch.randn(4, 8, 6) for _ in range(3)]
    collector = InputCollector(network[0], ["weight"], gram)
    assert not collector.layers  # named by the whole network
    collector = InputCollector(network, ["0.weight", "1.weight"], gram)
    assert list(collector.layers) == ["0.weight"]  # grouped filters have no one X
    for number, batch in enumerate(batches):
        if number != 1:
            collector.start()
            collector.start()
        with torch.autocast("cpu", torch.bfloat16):
            network[0](batch)
        if number != 1:
            collector.stop()
    expected = sum(b.flatten(0, 1).T @ b.flatten(0, 1) / 32 for b in (batches[0], batches[2]))
    assert collector.steps == 2
    torch.testing.assert_close(collector.sums["0.weight"], expected)
    again = InputCollector(network, ["0.weight"], gram)
    again.load(collector.tensors(), torch.device("cpu"))
    assert torch.equal(again.sums["0.weight"], collector.sums["0.weight"])
    assert again.steps == 2
