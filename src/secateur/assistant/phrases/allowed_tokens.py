"""Which tokens of a vocabulary may come next: all pieces that spell a sentence of the grammar, however they cut it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...text.tokenizer import Tokenizer
from .automaton import BREAKS, SIGNS, Automaton, SpellingState

Trie = dict[Any, Any]  # byte -> Trie; None -> the token that ends here


class AllowedTokens:
    """The tokens that lead on from a state of the automaton, listed once for every state.

    Words that a reduced vocabulary lacks are spelled from the pieces it has: every cut of a word is allowed, and the
    search finds the likeliest.
    """

    def __init__(self, automaton: Automaton, tokenizer: Tokenizer) -> None:
        self.automaton = automaton
        spelled = tokenizer.spelled()
        self._letters = {token: _letters(data) for token, data in spelled.items()}
        self._trie = _trie(spelled)
        self._known: dict[SpellingState, tuple[NDArray[np.int64], list[SpellingState]]] = {}

    def following(self, spelling: SpellingState) -> tuple[NDArray[np.int64], list[SpellingState]]:
        """Token ids (n,) that may follow, and the state that each leads to."""
        result = self._known.get(spelling)
        if result is None:
            pairs: list[tuple[int, SpellingState]] = []
            self._walk(self._trie, spelling, pairs)
            result = np.array([token for token, _ in pairs], np.int64), [to for _, to in pairs]
            self._known[spelling] = result
        return result

    def letters(self, token: int) -> bytes:
        """What a token spells in the grammar's eyes: lower case, spaces for hyphens, no signs."""
        return self._letters[token]

    def _walk(self, trie: Trie, spelling: SpellingState, pairs: list[tuple[int, SpellingState]]) -> None:
        for byte, branch in trie.items():
            if byte is None:
                pairs.append((branch, spelling))
                continue
            to = self.automaton.read(spelling, bytes([byte]))
            if to is not None:
                self._walk(branch, to, pairs)


def _trie(spelled: dict[int, bytes]) -> Trie:
    root: Trie = {}
    for token, data in spelled.items():
        node = root
        for byte in data:
            node = node.setdefault(byte, {})
        node[None] = token
    return root


def _letters(data: bytes) -> bytes:
    return bytes(32 if byte in BREAKS else byte for byte in data.lower() if byte not in SIGNS)
