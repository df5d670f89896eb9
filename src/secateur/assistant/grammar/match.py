"""Which sentence of a grammar a text is: intent and slots, with a cost; nothing that the text does not order.

The cheapest path through the graph is found word by word (Viterbi), so that time grows with the length of the text and
not with a power of it. A word fits exactly, or is one that stands for it (`alike`); politeness and stutters are passed
over, small words may be missing (`outside`). Any other word makes it another sentence, and the answer None.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Set
from dataclasses import dataclass
from functools import lru_cache

from .alike import unlike
from .graph import ANY, NAME, NUMBER, Arc, Graph
from .outside import ASKING, FILLERS, FORBIDDING, JOINING, PARTING, PRAISING, SMALL, language_of, polite
from .spans import is_number, spans
from .words import joined, words_of

FILLER = 0.15  # for politeness and hesitation
STUTTER = 0.15  # a word twice
MISSING = 0.4  # a small word of the grammar that was not said
UNKNOWN = {"en": 0.6, "zh": 0.35}  # a word that nobody knows, where these are looked for
NAMED = 0.6, 0.15  # a value that no list has, and each further word of it
FREE = {ANY: 0.01, NAME: 0.2}  # a word that is taken whatever it is; not part of the cost that is returned
DEAREST = 1.6  # the most that a text may differ
WIDEST = 600  # states that are followed from one word to the next
LONGEST = 400  # words; a longer text is no command


@dataclass(frozen=True)
class Match:
    """An intent with its slots; `cost` is 0 for a sentence of the grammar, and grows with every word that differs.

    `values` are the slots in the order of the sentence, also those that come twice; `unknown` the words that the
    grammar does not have, where these were let through.
    """

    intent: str
    slots: dict[str, str]
    cost: float
    words: int
    values: tuple[tuple[str, str], ...] = ()
    unknown: tuple[str, ...] = ()
    sure: float = 1.0  # how sure the recogniser was that this was said; typed: 1

    @property
    def confidence(self) -> float:
        """From 1 for a sentence of the grammar, of which the recogniser was certain, down to 0."""
        return self.sure * max(0.0, 1 - self.cost / max(1, self.words))


@dataclass(frozen=True, eq=False)
class _Step:
    """The last step of a path: over `arc` with the word `written`, or past a word (`arc` None)."""

    before: _Step | None
    arc: Arc | None
    written: str = ""


_Beam = dict[int, tuple[float, _Step | None]]


def match(graph: Graph, text: str, worst: float = 0.25) -> Match | None:
    """The sentence of `graph` that `text` is, or None: it is none, or differs by more than `worst` a word."""
    return _search(graph, words_of(text), worst, None)


def near(graph: Graph, text: str, lists: frozenset[str] = frozenset()) -> Match | None:
    """The sentence that `text` would be without the words that the grammar does not know (`unknown`), or if these were
    in one of `lists`. At most three words, or seven characters; at least two words are the sentence's own."""
    words = words_of(text)
    result = _search(graph, words, 0.5, lists) if len(words) <= 40 else None
    most = 7 if language_of(graph.language) == "zh" else 3
    if result is None or not 0 < len(result.unknown) <= most or result.words - len(result.unknown) < 2:
        return None
    # Of a room that it has, 打开客厅卧室的灯, it would be wrong to say that it is not known; of 吊灯 it is right.
    unknown, own = joined(result.unknown), (value for name, value in graph.values if name in lists)
    return None if any(value in unknown and len(words_of(value)) > 1 for value in own) else result


def _search(graph: Graph, words: list[str], worst: float, unknown: frozenset[str] | None) -> Match | None:
    asked = bool(words) and words[-1] == "?" and ASKING.isdisjoint(words)
    words = [word for word in words if word != "?"]
    if polite(words):
        words.pop()
    if asked or not words or len(words) > LONGEST:
        return None
    most = min(DEAREST, worst * len(words)) + FREE[ANY] * len(words) + 1e-9
    beams: list[_Beam] = [{} for _ in range(len(words) + 1)]
    reader = _Reader(graph, words, most, unknown)
    for at in range(len(words)):
        closed = reader.closed(beams[at]) if at else _begin(graph)
        able = reader.able(at)
        beam = {state: kept for state, kept in closed.items() if state in able}
        if len(beam) > WIDEST:
            beam = dict(heapq.nsmallest(WIDEST, beam.items(), key=lambda item: item[1][0]))
        for state, (cost, step) in beam.items():
            for end, target, more, arc, written in reader.steps(at, state):
                total = cost + more
                if total <= most and total < beams[end].get(target, (most + 1, None))[0]:
                    beams[end][target] = (total, _Step(step, arc, written))
        beams[at] = {}
    last = reader.closed(beams[-1]).get(graph.end)
    return None if last is None else _read_off(last[1], last[0], len(words))


@lru_cache(maxsize=16)
def _begin(graph: Graph) -> _Beam:
    """Where every sentence of a grammar begins."""
    return _Reader(graph, [], DEAREST, None).closed({0: (0.0, None)})


class _Reader:
    """The steps from a state with the words of one text."""

    def __init__(self, graph: Graph, words: list[str], most: float, unknown: frozenset[str] | None) -> None:
        self.graph, self.words, self.most, self.unknown = graph, words, most, unknown
        self.language, self.known = language_of(graph.language), graph.vocabulary
        self.strange = [*(word not in self.known and not is_number(word) for word in words), False]
        self.spans = [spans(words, at) for at in range(len(words))]
        self.fillers = [_filler(tuple(words[at : at + 5]), self.language) for at in range(len(words))]

    def closed(self, beam: _Beam) -> _Beam:
        """With the states that are reached without a word, or over a small word that is missing."""
        beam = dict(beam)
        queue = [(cost, state) for state, (cost, _) in beam.items()]
        heapq.heapify(queue)
        while queue:
            cost, state = heapq.heappop(queue)
            if cost > beam[state][0]:
                continue
            for arc in self.graph.arcs[state]:
                more = 0.0
                if arc.spoken is not None:
                    if arc.value or arc.spelled or arc.spoken not in SMALL[self.language]:
                        continue
                    more = MISSING
                total = cost + more
                if total <= self.most and total < beam.get(arc.target, (self.most + 1, None))[0]:
                    beam[arc.target] = (total, _Step(beam[state][1], arc) if arc.mark else beam[state][1])
                    heapq.heappush(queue, (total, arc.target))
        return beam

    def able(self, at: int) -> Set[int]:
        """States of which any step with the word at `at` is."""
        word = self.words[at]
        if self.fillers[at] or self.unknown is not None or (at and word == self.words[at - 1]):
            return self.graph.leaving
        return self.graph.taking(word, word in self.known or word in FORBIDDING[self.language])

    def steps(self, at: int, state: int) -> Iterator[tuple[int, int, float, Arc | None, str]]:
        """(words read then, state, cost, arc, what was written) for every way to go on."""
        word = self.words[at]
        for size in self.fillers[at]:
            yield at + size, state, FILLER, None, ""
        if at and word == self.words[at - 1] and not is_number(word) and len(word) > 1:
            yield at + 1, state, STUTTER, None, ""
        if self.unknown is not None and word not in FORBIDDING[self.language] and not is_number(word):
            yield from self._past_unknown(at, state, word)
        for arc in self.graph.arcs[state]:
            spoken = arc.spoken
            if spoken is None or arc.spelled:
                continue
            if spoken == NUMBER:
                assert arc.numbers is not None
                for span in self.spans[at]:
                    if arc.numbers.holds(span.value):
                        yield span.end, arc.target, 0.0, arc, span.text
            elif spoken == ANY:
                yield at + 1, arc.target, FREE[ANY], arc, word
            elif spoken == NAME:
                if not (word in PARTING or (self.language == "en" and word in FORBIDDING["en"]) or is_number(word)):
                    yield at + 1, arc.target, FREE[NAME], arc, word
            elif spoken == word:
                yield at + 1, arc.target, 0.0, arc, arc.written
            elif word not in self.known and word not in FORBIDDING[self.language]:
                cost = unlike(spoken, word, arc.value)
                if cost is not None:
                    yield at + 1, arc.target, cost, arc, arc.written

    def _past_unknown(self, at: int, state: int, word: str) -> Iterator[tuple[int, int, float, Arc | None, str]]:
        """Past a word that the grammar does not have; from the begin of a list, to the end of what it should have."""
        name, end = self.graph.lists.get(state, ("", 0))
        if word in JOINING or word in PRAISING:
            if word in JOINING and not name:
                yield at + 1, state, FILLER, None, ""
            return
        before, after = (at > 0 and self.strange[at - 1]), self.strange[at + 1]
        chinese = self.language == "zh"
        if self.strange[at] or (chinese and (before or after)):  # 加, which is known, of 加湿器
            yield at + 1, state, UNKNOWN[self.language], None, word
        if (chinese or before or self.strange[at]) and name in (self.unknown or ()):  # "room" of "dining room"
            first, further = NAMED
            yield at + 1, end, first, None, word
            yield at + 1, state, further, None, word


@lru_cache(maxsize=10_000)
def _filler(words: tuple[str, ...], language: str) -> tuple[int, ...]:
    """Lengths of the phrases that may be passed over at the begin of `words`."""
    return tuple(n for n in range(1, len(words) + 1) if words[:n] in _fillers(language))


@lru_cache(maxsize=4)
def _fillers(language: str) -> frozenset[tuple[str, ...]]:
    return frozenset(tuple(words_of(phrase)) for phrase in FILLERS[language])


def _read_off(step: _Step | None, cost: float, words: int) -> Match:
    """Intent and slots of the path that ends with `step`."""
    path: list[_Step] = []
    while step is not None:
        path.append(step)
        step = step.before
    intent, values, unknown = "", list[tuple[str, str]](), list[str]()
    written: list[str] = []
    for one in reversed(path):
        arc = one.arc
        if arc is None:
            unknown += [one.written] if one.written else []
        elif arc.spoken is not None:
            written.append(one.written)
            cost -= FREE.get(arc.spoken, 0.0)
        elif arc.mark is not None and arc.mark.kind == "intent":
            intent = arc.mark.name
        elif arc.mark is not None and arc.mark.kind == "begin":
            written = []
        elif arc.mark is not None:
            values.append((arc.mark.name, arc.mark.value if arc.mark.value is not None else joined(written)))
    slots: dict[str, str] = {}
    for name, value in values:
        slots[name] = value if name not in slots else f"{slots[name]} and {value}"
    return Match(intent, slots, max(0.0, round(cost, 6)), words, tuple(values), tuple(unknown))
