"""The lexicon of a beam search: a prefix tree of units (numpy tables) with each word's unigram log probability; and a
language model's states by number, for searches that reach the same states again and again.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from ..base.errors import SecateurError
from ..text.units import Inventory
from .ngram import KEPT, LanguageModel

ROOT, OPEN, NO_NODE = 0, 1, -1  # nodes: before a word; in a word outside the lexicon; no such node
_lock = threading.Lock()


@dataclass(frozen=True)
class WordTree:
    """The tree. Words are numbered as in the language model."""

    children: NDArray[np.int32]  # (nodes, outputs): the node after a unit, or NO_NODE
    ends: NDArray[np.int32]  # (nodes,): the likeliest word that ends here, or -1
    homophones: dict[int, tuple[int, ...]]  # nodes where several words end, all of them
    best: NDArray[np.float32]  # (nodes,): the best log-probability of a word that is still possible here; ROOT: 0
    ending: NDArray[np.float32]  # (nodes,): the best log-probability of a word that ends here
    begins: NDArray[np.bool_]  # (outputs,): units that end the word before: the boundary, or those that begin a word
    boundary: int | None

    def words_at(self, node: int) -> tuple[int, ...]:
        """Words that end at a node, the likeliest first."""
        words = self.homophones.get(node)
        if words is None:
            words = (int(self.ends[node]),) if self.ends[node] >= 0 else ()
        return words


def is_word(word: str) -> bool:
    """Whether an entry of a language model is a spoken word: not <s>, </s>, <unk>, [noise] or ++noise++."""
    return bool(word) and word[0] not in "<[+" and any(c.isalnum() for c in word)


def make_lexicon(units: Inventory, words: Sequence[str], log_probs: Sequence[float]) -> WordTree:
    """The tree of all `words` that `units` can spell.

    Raises:
        SecateurError: it can spell none of them.
    """
    children: list[dict[int, int]] = [{}, {}]
    spelled: dict[int, list[int]] = {}
    for number, word in enumerate(words):
        if not is_word(word):
            continue
        for spelling in units.spellings(word):
            node = ROOT
            for unit in spelling:
                child = children[node].get(unit)
                if child is None:
                    child = children[node][unit] = len(children)
                    children.append({})
                node = child
            if number not in spelled.setdefault(node, []):
                spelled[node].append(number)
    if not spelled:
        raise SecateurError("the units spell none of the language model's words: is it for another language?")
    table = np.full((len(children), units.outputs), NO_NODE, np.int32)
    for node, row in enumerate(children):
        for unit, child in row.items():
            table[node, unit] = child
    ends = np.full(len(children), -1, np.int32)
    ending = np.full(len(children), -np.inf, np.float32)
    homophones = {}
    for node, numbers in spelled.items():
        numbers.sort(key=lambda i: -log_probs[i])
        ends[node], ending[node] = numbers[0], log_probs[numbers[0]]
        if len(numbers) > 1:
            homophones[node] = tuple(numbers)
    best = ending.copy()
    for node in range(len(children) - 1, OPEN, -1):  # children are numbered after their parents
        for child in children[node].values():
            best[node] = max(best[node], best[child])
    best[ROOT] = 0.0
    best[OPEN] = 0.0
    begins = np.asarray(units.begins())
    if units.boundary is not None:
        begins = np.zeros(units.outputs, bool)
        begins[units.boundary] = True
    return WordTree(table, ends, homophones, best, ending, begins, units.boundary)


_caches: WeakKeyDictionary[Any, StateCache] = WeakKeyDictionary()


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
