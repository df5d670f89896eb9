"""A grammar letter by letter: which letters may follow, whatever pieces a model spells them with."""

from __future__ import annotations

from dataclasses import dataclass

from ..grammar.graph import OPEN, Graph

BREAKS = frozenset(b" -\n")
SIGNS = frozenset(b".,?!;:")


@dataclass(frozen=True, eq=False)
class SpellingState:
    """Where a spelling stands: in these states of the graph, with the letters `part` of a word begun.

    An automaton makes each once, so that they are compared by identity.
    """

    states: frozenset[int]
    part: bytes = b""


class Automaton:
    """`Graph` read byte by byte: lower case or capitals, words parted by spaces or hyphens, signs after words.

    A character of Chinese is a word that needs no space. Slots that take any words are not searched for: what they
    hold is what the recogniser writes freely. Places are made as they are reached, and kept.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._states: dict[tuple[frozenset[int], bytes], SpellingState] = {}
        self.start = self._spelling(graph.closure(0))
        self._words: dict[frozenset[int], dict[bytes, set[int]]] = {}
        self._parts: dict[frozenset[int], frozenset[bytes]] = {}
        self._after: dict[tuple[SpellingState, int], SpellingState | None] = {}

    def read(self, spelling: SpellingState, text: bytes) -> SpellingState | None:
        """The state after `text`, or None where no sentence goes on so."""
        for byte in text:
            key = (spelling, byte)
            if key not in self._after:
                self._after[key] = self._step(spelling, byte)
            following = self._after[key]
            if following is None:
                return None
            spelling = following
        return spelling

    def ended(self, spelling: SpellingState) -> bool:
        """Whether a sentence may end here."""
        whole = self._word_done(spelling)
        return whole is not None and self.graph.end in whole.states

    def _step(self, spelling: SpellingState, byte: int) -> SpellingState | None:
        if byte in BREAKS:
            return self._word_done(spelling)
        if byte in SIGNS:
            return self._word_done(spelling) if spelling.part else None
        if 65 <= byte <= 90:
            byte += 32
        part = spelling.part + bytes([byte])
        self._learn(spelling.states)
        if part in self._parts[spelling.states]:
            return self._spelling(spelling.states, part)
        if byte >= 0xE0 and spelling.part:  # the next character of a script without spaces
            whole = self._word_done(spelling)
            if whole is not None:
                return self._step(whole, byte)
        return None

    def _word_done(self, spelling: SpellingState) -> SpellingState | None:
        """The word begun is whole: the state after it."""
        if not spelling.part:
            return spelling
        self._learn(spelling.states)
        targets = self._words[spelling.states].get(spelling.part, ())
        if not targets:
            return None
        return self._spelling(frozenset().union(*(self.graph.closure(target) for target in targets)))

    def _spelling(self, states: frozenset[int], part: bytes = b"") -> SpellingState:
        return self._states.setdefault((states, part), SpellingState(states, part))

    def _learn(self, states: frozenset[int]) -> None:
        """The words that leave `states`, and all their beginnings."""
        if states in self._words:
            return
        words: dict[bytes, set[int]] = {}
        for state in states:
            for arc in self.graph.arcs[state]:
                if arc.spoken is not None and arc.spoken not in OPEN:
                    words.setdefault(arc.spoken.encode(), set()).add(arc.target)
        self._words[states] = words
        self._parts[states] = frozenset(word[:i] for word in words for i in range(1, len(word) + 1))
