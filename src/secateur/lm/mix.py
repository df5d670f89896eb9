"""Interpolation weights of language models: those that make given texts likeliest (Jelinek and Mercer 1980)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..text.spoken import spoken
from .ngram import END, LanguageModel, Mixture, NGram

ROUNDS = 40  # of expectation and maximisation; the weights converge long before


def mixed(models: Sequence[NGram], texts: Sequence[str]) -> LanguageModel:
    """The models mixed as suits `texts` best; a single model is itself.

    Words that no model knows do not count.
    """
    if len(models) == 1:
        return models[0]
    return Mixture(models, shares(models, texts))


def shares(models: Sequence[NGram], texts: Sequence[str]) -> list[float]:
    """The interpolation weight of each model, by EM on the words of `texts`, their ends included."""
    even = Mixture(models)
    rows = []
    for text in texts:
        state = even.start()
        for word in [*spoken(text).split(), END]:
            number = even.numbers.get(word, -1)
            if number >= 0:
                rows.append(even.parts(number, state))
            state = even.then(number, state)
    if not rows:
        return [1 / len(models)] * len(models)
    each, weights = np.exp(np.asarray(rows)), np.full(len(models), 1 / len(models))
    for _ in range(ROUNDS):
        owned = each * weights
        weights = (owned / owned.sum(1, keepdims=True)).mean(0)
    return [float(share) for share in np.maximum(weights, 1e-6)]
