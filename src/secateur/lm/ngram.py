"""N-gram language models with backoff (Katz 1987), as sorted tables that numpy alone can search."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base.errors import SecateurError, several
from ..text.normalise import spoken

START, END, UNKNOWN = "<s>", "</s>", "<unk>"
NEVER = -99.0 * float(np.log(10))  # what ARPA files write for "never": natural logarithm
KEPT = 200_000  # answers that a cache keeps: a server that runs for months asks about ever new words
State = tuple[int, ...]  # the words before, the nearest first; -1 is one that the model does not know

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Level:
    """N-grams of one order, sorted by key. Natural logarithms.

    An n-gram is looked up from its last word backwards: its key is (row of the n-gram without its first word, in the
    order below) * vocabulary + first word; for single words the row is the word's number.
    """

    keys: Integers
    log_probs: Floats
    backoffs: Floats  # of these words as a context; zero in the highest order


class NGram:
    """A language model over `words`."""

    def __init__(self, words: Sequence[str], levels: Sequence[Level]) -> None:
        self.words, self.levels = tuple(words), tuple(levels)
        if len(self.levels[0].keys) != len(self.words):
            raise SecateurError(f"a language model of {len(self.words)} words has {len(self.levels[0].keys)} 1-grams")
        self._cache: dict[tuple[int, State], float] = {}

    @property
    def order(self) -> int:
        """The length of the longest n-grams."""
        return len(self.levels)

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of every word."""
        return {word: i for i, word in enumerate(self.words)}

    @cached_property
    def unigrams(self) -> Floats:
        """Logarithms of probabilities (words,) without any context."""
        return self.levels[0].log_probs

    @cached_property
    def unknown(self) -> float:
        """Log probability of a word that the model does not know: that of its own <unk>, or of its rarest word."""
        if UNKNOWN in self.numbers:
            return float(self.unigrams[self.numbers[UNKNOWN]])
        real = self.unigrams[self.unigrams > NEVER / 2]
        return float(real.min())

    def start(self) -> State:
        """Before the first word."""
        return (self.numbers[START],) if START in self.numbers else ()

    def then(self, word: int, state: State) -> State:
        """The state after `word`."""
        return (word, *state)[: self.order - 1]

    def score(self, word: int, state: State) -> float:
        """Logarithm of the probability of a word's number (-1: unknown) after `state`.

        The longest n-gram that the model has, and the backoff of every longer context.
        """
        key = (word, state)
        log_prob = self._cache.get(key)
        if log_prob is None:
            log_prob = self._cache[key] = self._score(word, state)
        return log_prob

    def sentence(self, text: str) -> float:
        """Logarithm of the probability of a sentence of spaced words, its end included."""
        return _sentence(self, text)

    def _score(self, word: int, state: State) -> float:
        state = state[: self.order - 1]
        if word < 0:
            return self.unknown + sum(self._backoff(state[:n]) for n in range(1, len(state) + 1))
        log_prob, row, used = self.levels[0].log_probs[word], word, 0
        for used, before in enumerate(state, 1):
            row = self._row_of(used, row, before)
            if row < 0:
                used -= 1
                break
            log_prob = self.levels[used].log_probs[row]
        return float(log_prob) + sum(self._backoff(state[:n]) for n in range(used + 1, len(state) + 1))

    def _backoff(self, context: State) -> float:
        """The backoff of a context, the nearest word first; zero when the model does not have it."""
        row = context[0]
        if row < 0:
            return 0.0
        for depth, before in enumerate(context[1:], 1):
            row = self._row_of(depth, row, before)
            if row < 0:
                return 0.0
        return float(self.levels[len(context) - 1].backoffs[row])

    def _row_of(self, depth: int, row: int, before: int) -> int:
        """The row of a longer n-gram, or -1."""
        if before < 0:
            return -1
        keys = self.levels[depth].keys
        key = row * len(self.words) + before
        position = int(keys.searchsorted(key))
        return position if position < len(keys) and keys[position] == key else -1


class Mixture:
    """The weighted mean of the probabilities of several models, over all their words.

    Words that one model lacks share what it gives to an unknown one.
    """

    def __init__(self, models: Sequence[NGram], weights: Sequence[float] | None = None) -> None:
        self.models = tuple(models)
        shares = np.asarray(weights if weights is not None else [1.0] * len(self.models), float)
        self.log_weights = np.log(shares / shares.sum()).tolist()
        self.words = tuple(dict.fromkeys(word for model in self.models for word in model.words))
        self._own = [[model.numbers.get(word, -1) for word in self.words] for model in self.models]
        self._share = [math.log(max(1, sum(number < 0 for number in own))) for own in self._own]
        self._cache: dict[tuple[int, tuple[State, ...]], float] = {}

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of every word."""
        return {word: i for i, word in enumerate(self.words)}

    @cached_property
    def unigrams(self) -> Floats:
        """Logarithms of probabilities (words,) without any context."""
        parts = []
        for model, own, weight, share in zip(self.models, self._own, self.log_weights, self._share, strict=True):
            numbers = np.asarray(own)
            known = np.where(numbers >= 0, model.unigrams[numbers.clip(0)], model.unknown - share)
            parts.append(known + weight)
        log_probs: Floats = np.logaddexp.reduce(parts, 0).astype(np.float32)
        return log_probs

    @property
    def unknown(self) -> float:
        """See `NGram.unknown`."""
        return float(np.logaddexp.reduce([m.unknown + w for m, w in zip(self.models, self.log_weights, strict=True)]))

    def start(self) -> tuple[State, ...]:
        """Before the first word."""
        return tuple(model.start() for model in self.models)

    def then(self, word: int, state: tuple[State, ...]) -> tuple[State, ...]:
        """The state after `word`."""
        return tuple(
            model.then(own[word] if word >= 0 else -1, part)
            for model, own, part in zip(self.models, self._own, state, strict=True)
        )

    def score(self, word: int, state: tuple[State, ...]) -> float:
        """See `NGram.score`."""
        key = (word, state)
        log_prob = self._cache.get(key)
        if log_prob is None:
            if len(self._cache) >= KEPT:
                self._cache.clear()
            parts = np.asarray(self.parts(word, state)) + self.log_weights
            log_prob = self._cache[key] = float(np.logaddexp.reduce(parts))
        return log_prob

    def sentence(self, text: str) -> float:
        """See `NGram.sentence`."""
        return _sentence(self, text)

    def parts(self, word: int, state: tuple[State, ...]) -> list[float]:
        """The log probability that each model by itself gives; see `score`."""
        log_probs = []
        for model, own, share, part in zip(self.models, self._own, self._share, state, strict=True):
            number = own[word] if word >= 0 else -1
            log_probs.append(model.score(number, part) - (share if word >= 0 and number < 0 else 0.0))
        return log_probs


LanguageModel = NGram | Mixture


def _sentence(model: Any, text: str) -> float:
    state, total = model.start(), 0.0
    for word in [*text.split(), END]:
        number = model.numbers.get(word, -1)
        total += model.score(number, state)
        state = model.then(number, state)
    return total


def perplexity(model: LanguageModel, texts: Sequence[str]) -> float:
    """Perplexity of a model on sentences of spaced words, their ends counted as a word each."""
    words = sum(len(text.split()) + 1 for text in several("perplexity", texts))
    return float(np.exp(-sum(model.sentence(text) for text in texts) / words))


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
