"""Intervals against a slow, separately written bootstrap, and against what they promise: coverage."""

from __future__ import annotations

import random
from statistics import NormalDist

import numpy as np
import pytest

from secateur.base.errors import SecateurError
from secateur.evaluate.bootstrap import clusters, expanded_tail, paired_difference, rate_interval, t_quantile

Corpus = tuple[list[int], list[int], list[int], list[str]]


def corpus(speakers: int, seed: int, clips: int = 20, gain: float = 0.0) -> Corpus:
    """Errors of A, errors of B (better by the share `gain`), words, speakers; rates differ between speakers."""
    rng = np.random.default_rng(seed)
    rates = rng.beta(4, 16, speakers)[:, None]  # mean 0.2
    words = rng.poisson(8, (speakers, clips)) + 1
    a = rng.binomial(words, rates)
    b = rng.binomial(words, rates * (1 - gain))
    names = [f"s{i}" for i in range(speakers) for _ in range(clips)]
    return a.ravel().tolist(), b.ravel().tolist(), words.ravel().tolist(), names


def slow_bootstrap(errors: list[list[int]], words: list[int], speakers: list[str], resamples: int) -> list[list[float]]:
    """Rates of every resample, by plain loops: draw speakers, pool their clips, divide."""
    draw = random.Random(7)
    clips: dict[str, list[int]] = {}
    for i, speaker in enumerate(speakers):
        clips.setdefault(speaker, []).append(i)
    names = list(clips)
    rates: list[list[float]] = [[] for _ in errors]
    for _ in range(resamples):
        chosen = [i for _ in names for i in clips[draw.choice(names)]]
        below = sum(words[i] for i in chosen)
        for system, counts in zip(rates, errors, strict=True):
            system.append(sum(counts[i] for i in chosen) / below)
    return rates


def ends(values: list[float], count: int) -> tuple[float, float]:
    values, tail = sorted(values), expanded_tail(0.025, count)
    return values[round(tail * len(values))], values[round((1 - tail) * len(values)) - 1]


def test_agrees_with_a_slow_bootstrap() -> None:
    a, b, words, speakers = corpus(40, seed=1, gain=0.15)
    rates_a, rates_b = slow_bootstrap([a, b], words, speakers, 3000)
    assert rate_interval(a, words, speakers) == pytest.approx(ends(rates_a, 40), abs=0.004)
    paired = paired_difference(a, b, words, speakers)
    deltas = [y - x for x, y in zip(rates_a, rates_b, strict=True)]
    assert (paired.low, paired.high) == pytest.approx(ends(deltas, 40), abs=0.003)
    assert paired.b_better == pytest.approx(sum(d < 0 for d in deltas) / len(deltas), abs=0.02)
    assert paired.delta == pytest.approx((sum(b) - sum(a)) / sum(words))


@pytest.mark.parametrize("speakers", [8, 30])
def test_covers_the_truth_as_often_as_promised(speakers: int) -> None:
    hits = naive = 0
    for seed in range(300):
        errors, _, words, names = corpus(speakers, seed)
        low, high = rate_interval(errors, words, names, resamples=1000, seed=seed)
        hits += low <= 0.2 <= high
        low, high = rate_interval(errors, words, [""] * len(words), resamples=300, seed=seed)
        naive += low <= 0.2 <= high
    # Binomial(300, 0.95): 270 is 4 standard deviations low. Clips instead of speakers promise far too much.
    assert 270 <= hits < 300
    assert naive < 200


def test_clips_of_one_speaker_are_not_independent() -> None:
    errors, _, words, names = corpus(30, seed=3)
    low, high = rate_interval(errors, words, names)
    narrow_low, narrow_high = rate_interval(errors, words, [""] * len(words))
    assert high - low > 1.3 * (narrow_high - narrow_low)


def test_pairing_is_tighter_than_two_intervals() -> None:
    a, b, words, names = corpus(30, seed=4, gain=0.3)
    paired = paired_difference(a, b, words, names)
    low, high = rate_interval(a, words, names)
    assert paired.certain
    assert paired.b_better > 0.99
    assert paired.high - paired.low < high - low
    back = paired_difference(b, a, words, names)
    assert (back.low, back.high, back.b_better) == pytest.approx((-paired.high, -paired.low, 1 - paired.b_better))


def test_same_system_is_a_tie() -> None:
    a, _, words, names = corpus(12, seed=5)
    same = paired_difference(a, a, words, names)
    assert (same.delta, same.low, same.high, same.b_better) == (0, 0, 0, 0.5)
    assert not same.certain


def test_seeds_are_averaged_before_resampling() -> None:
    a, b, words, names = corpus(20, seed=6, gain=0.2)
    mean = (np.array(a) + np.array(b)) / 2
    assert paired_difference(a, [a, b], words, names) == paired_difference(a, mean, words, names)
    assert rate_interval([a, a, a], words, names) == pytest.approx(rate_interval(a, words, names))


def test_same_seed_same_interval() -> None:
    a, _, words, names = corpus(20, seed=8)
    assert rate_interval(a, words, names, seed=1) == rate_interval(a, words, names, seed=1)
    assert rate_interval(a, words, names, seed=1) != rate_interval(a, words, names, seed=2)


def test_clusters() -> None:
    assert clusters(["a", "b", "a"]).tolist() == [0, 1, 0]
    assert len(set(clusters(["a", "", None, "a"]).tolist())) == 3
    assert clusters(["only"] * 3).tolist() == [0, 1, 2]


def test_speakers_without_words_do_no_harm() -> None:
    low, high = rate_interval([1, 2, 1, 0], [5, 8, 4, 0], ["a", "b", "c", "d"])
    assert 0.2 <= low < high <= 0.25


@pytest.mark.parametrize(
    ("errors", "words", "speakers"),
    [([1], [2, 3], ["a", "b"]), ([1, 2], [2, 3], ["a"]), ([1, 2], [0, 0], ["a", "b"]), ([], [], [])],
)
def test_bad_input_is_named(errors: list[int], words: list[int], speakers: list[str]) -> None:
    with pytest.raises(SecateurError):
        rate_interval(errors, words, speakers)


@pytest.mark.parametrize(("freedom", "table"), [(1, 12.7062), (2, 4.3027), (3, 3.1824), (5, 2.5706), (74, 1.9925)])
def test_t_quantiles_match_the_tables(freedom: int, table: float) -> None:
    assert t_quantile(0.975, freedom) == pytest.approx(table, rel=0.002)


def test_many_clusters_need_no_expansion() -> None:
    assert expanded_tail(0.025, 100_000) == pytest.approx(0.025, rel=1e-3)
    assert expanded_tail(0.025, 2) < expanded_tail(0.025, 10) < 0.025
    assert NormalDist().inv_cdf(expanded_tail(0.025, 75)) == pytest.approx(-1.9925 * (75 / 74) ** 0.5, abs=1e-3)
