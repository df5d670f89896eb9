"""Which sentence of a grammar a text is, or is nearest to: intent and slots, with a cost."""

from __future__ import annotations

import difflib
import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from .graph import ANY, Arc, Graph
from .template import joined, words_of

EXTRA = 0.6  # a word that the grammar does not have there
MISSING = 1.0  # a word of the grammar that was not said
INVENTED = 2.0  # the same in a slot: a value should not be made up
UNLIKE = 1.2  # times (1 - likeness of two words), for a word in place of another
LEAST_ALIKE = 0.5  # words less alike than this are never taken for each other


@dataclass(frozen=True)
class Match:
    """An intent with its slots; `cost` is 0 for a sentence of the grammar, and grows with every word that differs."""

    intent: str
    slots: dict[str, str]
    cost: float
    words: int

    @property
    def confidence(self) -> float:
        """1 for a sentence of the grammar, 0 for nothing in common."""
        return max(0.0, 1 - self.cost / max(1, self.words))


def match(graph: Graph, text: str, worst: float = 0.25) -> Match | None:
    """The sentence of `graph` nearest to `text`, or None when it differs by more than `worst` a word.

    The cheapest path by Dijkstra's algorithm over (words read, state); a step reads a word that fits, takes a word for
    one alike, reads one too many, or passes one over. Words that a grammar takes whatever they are use up their own
    share of what may differ, so that they do not excuse the words around them.
    """
    words = words_of(text)
    most = worst * len(words)
    best: dict[tuple[int, int], float] = {(0, 0): 0.0}
    came: dict[tuple[int, int], tuple[tuple[int, int], Arc | None, str]] = {}
    queue: list[tuple[float, int, int, int]] = [(0.0, 0, 0, 0)]
    pushed = 0
    while queue:
        cost, _, read, state = heapq.heappop(queue)
        here = (read, state)
        if cost > best[here]:
            continue
        if state == graph.end and read == len(words):
            return _read_off(came, here, cost, len(words), worst)
        steps: list[tuple[tuple[int, int], float, Arc | None, str]] = []
        word = words[read] if read < len(words) else None
        if word is not None:
            steps.append(((read + 1, state), EXTRA, None, ""))
        for arc in graph.arcs[state]:
            if arc.spoken is None:
                steps.append(((read, arc.target), 0.0, arc, ""))
            elif arc.spoken == ANY:
                if word is not None:
                    steps.append(((read + 1, arc.target), worst + 0.02, arc, word))
            else:
                if word is not None:
                    steps += [((read + 1, arc.target), c, arc, "") for c in _unlike(arc.spoken, word)]
                steps.append(((read, arc.target), INVENTED if arc.value else MISSING, arc, ""))
        for there, more, taken, heard in steps:
            total = cost + more
            if total <= most and total < best.get(there, 1e9):
                best[there] = total
                came[there] = (here, taken, heard)
                pushed += 1
                heapq.heappush(queue, (total, -there[0] * 100000 + pushed, *there))
    return None


@lru_cache(maxsize=100_000)
def _unlike(wanted: str, heard: str) -> tuple[float, ...]:
    """The cost of hearing `heard` for `wanted`, or nothing."""
    if wanted == heard:
        return (0.0,)
    if wanted.isdigit() or heard.isdigit():  # another number is another thing
        return ()
    alike = difflib.SequenceMatcher(None, wanted, heard, autojunk=False).ratio()
    return (UNLIKE * (1 - alike),) if alike >= LEAST_ALIKE else ()


def _read_off(
    came: dict[tuple[int, int], tuple[tuple[int, int], Arc | None, str]], at: tuple[int, int], cost: float, words: int,
    worst: float,
) -> Match:  # fmt: skip
    """Intent and slots of the path that ends at `at`."""
    path: list[tuple[Arc, str]] = []
    while at in came:
        at, taken, heard = came[at]
        if taken is not None:
            path.append((taken, heard))
    free = sum(arc.spoken == ANY for arc, _ in path)
    return Match(*slots_of(path[::-1]), max(0.0, round(cost - free * (worst + 0.02), 6)), words)


def slots_of(path: Sequence[tuple[Arc, str]]) -> tuple[str, dict[str, str]]:
    """Intent and slots along `path`: arcs, and the word heard for those that take any.

    A slot that comes twice keeps both values, joined by " and ".
    """
    intent = ""
    slots: dict[str, str] = {}
    written: list[str] = []
    for arc, heard in path:
        if arc.spoken is not None:
            written.append(heard if arc.spoken == ANY else arc.written)
        elif arc.mark is not None and arc.mark.kind == "intent":
            intent = arc.mark.name
        elif arc.mark is not None and arc.mark.kind == "begin":
            written = []
        elif arc.mark is not None:
            value = arc.mark.value if arc.mark.value is not None else joined(written)
            known = slots.get(arc.mark.name)
            slots[arc.mark.name] = value if known is None else f"{known} and {value}"
    return intent, slots
