"""Which weights go, and why: formulas and choices against loops, exact counts, ties, patterns."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from secateur.base.errors import SecateurError
from secateur.prune.weights.regrow import exchange, exchanged_share
from secateur.prune.weights.rewind import share_after
from secateur.prune.weights.scores import WEIGHT_CRITERIA, WeightEvidence
from secateur.prune.weights.threshold import (
    as_rows,
    from_rows,
    lowest,
    lowest_of_all,
    lowest_of_groups,
    lowest_of_rows,
    parse_pattern,
)


def test_the_lowest_are_counted_exactly_and_ties_go_by_position() -> None:
    small = torch.tensor([[2.0, 1.0, 1.0], [1.0, 0.0, 3.0]])
    assert lowest(small, 3).tolist() == [[False, True, True], [False, True, False]]
    many = torch.randint(0, 5, (37, 41), generator=torch.Generator().manual_seed(0)).float()
    for count in (0, 1, 700, 37 * 41 - 1, 37 * 41, 10_000):
        chosen = lowest(many, count)
        expected = sorted(range(many.numel()), key=lambda i: (float(many.flatten()[i]), i))[:count]
        assert chosen.flatten().nonzero().flatten().tolist() == sorted(expected)
    gone = torch.tensor([5.0, -torch.inf, -torch.inf, 1.0])
    assert lowest(gone, 3).tolist() == [False, True, True, True]


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
    assert int(half.sum()) == 15
    assert bool((groups | ~half).all())


def test_patterns_run_along_the_channels_of_a_filter() -> None:
    torch.manual_seed(0)
    scores = torch.rand(3, 6, 2, 5)  # two channels beyond the last group of four
    gone = lowest_of_groups(scores, 2, 4)
    assert gone[:, :4].sum(1).unique().tolist() != [2]  # rows of 6 channels a position: groups run on to the next one
    rows = as_rows(gone)
    assert rows.shape == (3, 60)
    assert rows.view(3, 15, 4).sum(-1).unique().tolist() == [2]
    assert torch.equal(as_rows(scores)[1, :6], scores[1, :, 0, 0])
    assert torch.equal(from_rows(as_rows(scores), scores.shape), scores)
    assert not lowest_of_groups(torch.rand(4, 10), 2, 4)[:, 8:].any()


@pytest.mark.parametrize("wrong", ["4:2", "2:2", "0:4", "2-4", "2:4:8", ""])
def test_what_is_no_pattern_is_refused(wrong: str) -> None:
    with pytest.raises(SecateurError, match="not N:M"):
        parse_pattern(wrong)


def test_scores_against_their_formulas() -> None:
    torch.manual_seed(0)
    weight, sums, inputs = torch.randn(3, 4), torch.rand(3, 4), torch.rand(4)
    evidence = WeightEvidence("layer.weight", sums, inputs, seed=3)
    for r in range(3):
        for c in range(4):
            value = float(weight[r, c])
            expected = {
                "magnitude": abs(value), "taylor": float(sums[r, c]) ** 0.5, "movement": float(sums[r, c]),
                "wanda": abs(value) * float(inputs[c]),
            }  # fmt: skip
            for name, number in expected.items():
                assert float(WEIGHT_CRITERIA[name](weight, evidence)[r, c]) == pytest.approx(number, rel=1e-6)
    again = WEIGHT_CRITERIA["random"](weight, evidence)
    assert torch.equal(again, WEIGHT_CRITERIA["random"](weight, evidence))
    other = WEIGHT_CRITERIA["random"](weight, WeightEvidence("yelar.weight", seed=3))  # the same letters
    assert not torch.equal(again, other)


def test_wanda_of_a_grouped_filter_reads_its_own_groups_inputs() -> None:
    weight, inputs = torch.ones(4, 3, 2), torch.arange(1.0, 7.0)  # 2 groups of 3 channels, 2 outputs each
    score = WEIGHT_CRITERIA["wanda"](weight, WeightEvidence("c", inputs=inputs, groups=2))
    assert score[:2].tolist() == [[[1, 1], [2, 2], [3, 3]]] * 2
    assert score[2:].tolist() == [[[4, 4], [5, 5], [6, 6]]] * 2


def test_terms_of_a_step_against_a_loop() -> None:
    torch.manual_seed(0)
    gradients, weights = [torch.randn(2, 3), torch.randn(4)], [torch.randn(2, 3), torch.randn(4)]
    for name, formula in (("taylor", lambda g, w: (g * w) ** 2), ("movement", lambda g, w: -g * w)):
        for term, g, w in zip(WEIGHT_CRITERIA[name].term(gradients, weights), gradients, weights, strict=True):
            expected = [formula(a, b) for a, b in zip(g.flatten().tolist(), w.flatten().tolist(), strict=True)]
            assert term.flatten().tolist() == pytest.approx(expected, rel=1e-5)


def test_exchange_drops_the_smallest_and_grows_the_steepest() -> None:
    weight = torch.tensor([0.1, -0.9, 0.0, 0.5, 0.0, 0.0, 0.3, 0.7])
    active = weight != 0
    gradient = torch.tensor([0.0, 0.0, 1.0, 0.0, -3.0, 2.0, 0.0, 0.0])
    new = exchange(weight, active, gradient, 0.4)  # two of five
    assert new.tolist() == [False, True, False, True, True, True, False, True]
    gradient[0] = 9.0  # dropped and asked for at once: it stays (the paper leaves only what stayed out)
    assert exchange(weight, active, gradient, 0.4).tolist() == [True, True, False, True, True, False, False, True]
    assert torch.equal(exchange(weight, active, gradient, 0.0), active)
    shares = [exchanged_share(t / 10) for t in range(11)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == 0.3
    assert shares[-1] == pytest.approx(0.0, abs=1e-12)


def test_rounds_take_the_same_share_of_what_is_left() -> None:
    left = [1 - share_after(0.6, n / 4) for n in range(5)]
    assert left[-1] == pytest.approx(0.4)
    assert [b / a for a, b in pairwise(left)] == pytest.approx([0.4**0.25] * 4)
