"""A language model's states by number, for searches that reach the same states again and again."""

from __future__ import annotations

import threading
from typing import Any
from weakref import WeakKeyDictionary

from .ngram import KEPT, LanguageModel

_caches: WeakKeyDictionary[Any, StateCache] = WeakKeyDictionary()
_lock = threading.Lock()


class StateCache:
    """A cache of visited states and transitions; `state_cache_of` shares it between all searches with one model.

    It only grows, since searches hold numbers of its states: one that is `full` is replaced for the next search, and
    goes with the last that walks it.
    """

    def __init__(self, model: LanguageModel) -> None:
        self.states: list[Any] = [model.start()]
        self._numbers: dict[Any, int] = {self.states[0]: 0}
        self._steps: dict[tuple[int, int], tuple[float, int]] = {}
        self._lock = threading.Lock()

    @property
    def full(self) -> bool:
        """Whether further searches should begin with another."""
        return len(self._steps) >= KEPT

    def step(self, model: LanguageModel, state: int, word: int) -> tuple[float, int]:
        """Logarithm of the probability of a word (-1: unknown) after a state, and the state then."""
        transition = self._steps.get((state, word))
        if transition is None:
            before = self.states[state]
            then = model.then(word, before)
            score = model.score(word, before)
            with self._lock:
                number = self._numbers.setdefault(then, len(self.states))
                if number == len(self.states):
                    self.states.append(then)
            transition = self._steps[state, word] = (score, number)
        return transition


def state_cache_of(model: LanguageModel) -> StateCache:
    """The model's current cache, kept as long as the model itself or until it is full."""
    with _lock:
        cache = _caches.get(model)
        if cache is None or cache.full:
            cache = _caches[model] = StateCache(model)
        return cache
