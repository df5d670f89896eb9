"""The weights of a language model are found where a development set makes the fewest errors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("kaldialign")
pytest.importorskip("whisper_normalizer")

from secateur.data.manifest import Utterance
from secateur.lm.estimate import train_ngram
from secateur.lm.ngram import Mixture, NGram, mixed, perplexity, shares
from secateur.study.lm_weights import weigh

TEXT = " ".join("abcdefghij" * 20)


class Valley:
    """Reads a text with the more errors the farther its weights are from the best ones."""

    def __init__(self, lm_weight: float, word_bonus: float, blank_penalty: float) -> None:
        self.errors = round(20 * abs(lm_weight - 1.33) + 10 * abs(word_bonus + 2.6) + 16 * abs(blank_penalty - 1.4))

    def many(self, heard: Sequence[Any]) -> list[str]:
        return [" ".join(["wrong"] * self.errors + TEXT.split()[self.errors :]) for _ in heard]


def test_the_best_place_is_found_from_coarse_to_fine() -> None:
    clips = [Utterance("a", Path("a"), 1.0, TEXT)]
    tried = weigh([np.zeros((1, 2))], clips, Valley)  # type: ignore[arg-type]
    best = min(tried, key=lambda t: t.rate)
    assert abs(best.lm_weight - 1.33) <= 0.1 and abs(best.word_bonus + 2.6) <= 0.25
    assert abs(best.blank_penalty - 1.4) <= 0.125
    assert len(tried) < 50 and len({tuple(t.weights.values()) for t in tried}) == len(tried)


def test_shares_are_those_that_fit() -> None:
    ships = ["the ship sails on the sea", "a ship is on the sea", "the sea is deep"] * 3
    kitchens = ["put the pan on the fire", "a pan is hot", "the fire is hot"] * 3
    models: list[NGram] = [train_ngram(ships, 2), train_ngram(kitchens, 2)]
    found = shares(models, ["the ship is on the deep sea", "the sea is on fire zzz"])
    assert sum(found) == pytest.approx(1) and found[0] > 0.7
    assert shares(models, ["put a pan on the fire"])[1] > 0.7
    text = ["the ship is on the deep sea", "the pan is deep"]
    rates = [perplexity(m, text) for m in (mixed(models, text), Mixture(models), Mixture(models, (0.9, 0.1)))]
    assert rates[0] <= min(rates) + 1e-6
    assert mixed(models[:1], text) is models[0]
    assert shares(models, ["zzz"])[0] > 0  # an end is a word, too
