"""All sentences of a grammar as one graph of words: what phrase mode searches and what texts are matched with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from ...base.errors import SecateurError, nearest
from .numbers import MOST, spoken_ways
from .template import AnyOrder, Either, Node, Rule, Slot, Word, parse, words_of
from .template import Sequence as InOrder

ANY = "*"  # an arc that takes whatever word is said
DEEPEST = 24  # rules within rules


@dataclass(frozen=True)
class Mark:
    """What an arc without a word says about the path: an intent, or the begin or end of a slot."""

    kind: str  # "intent", "begin" or "end"
    name: str
    value: str | None = None  # an end's value; None: the words written since the begin


@dataclass(frozen=True)
class Arc:
    """To state `target`, with a word, or without one (`spoken` None) and then perhaps with a mark."""

    target: int
    spoken: str | None = None
    written: str = ""
    mark: Mark | None = None
    value: bool = False  # the word is part of a slot's value


@dataclass
class Graph:
    """`arcs[state]` leave a state; 0 is the start, `end` the only end."""

    arcs: list[list[Arc]] = field(default_factory=lambda: [[], []])
    end: int = 1

    def add(self) -> int:
        """A new state."""
        self.arcs.append([])
        return len(self.arcs) - 1

    @cached_property
    def _closures(self) -> dict[int, frozenset[int]]:
        return {}

    def closure(self, state: int) -> frozenset[int]:
        """`state` and all that is reached from it without a word."""
        found = self._closures.get(state)
        if found is None:
            seen, todo = {state}, [state]
            while todo:
                for arc in self.arcs[todo.pop()]:
                    if arc.spoken is None and arc.target not in seen:
                        seen.add(arc.target)
                        todo.append(arc.target)
            # Only what has a word to take, or is the end, matters.
            kept = (s for s in seen if s == self.end or any(arc.spoken is not None for arc in self.arcs[s]))
            found = self._closures[state] = frozenset(kept)
        return found

    def words(self) -> list[str]:
        """Every word of the grammar, once."""
        return sorted({arc.spoken for arcs in self.arcs for arc in arcs if arc.spoken and arc.spoken != ANY})


class Builder:
    """Templates to a graph.

    Args:
        slots: a list's templates by name; a table's keys are the values, its templates what is said.
        rules: templates by name.
        language: how numbers are said.
    """

    def __init__(
        self, slots: Mapping[str, Sequence[str] | Mapping[str, str]], rules: Mapping[str, str], language: str = "en"
    ) -> None:
        self.graph = Graph()
        self.slots, self.rules, self.language = slots, rules, language
        self._in_slot = False

    def add_intent(self, name: str, templates: Sequence[str]) -> None:
        """All sentences of an intent.

        Raises:
            SecateurError: a template that cannot be read, or names a list or rule that is not there.
        """
        start = self.graph.add()
        self.graph.arcs[0].append(Arc(start, mark=Mark("intent", name)))
        for template in templates:
            end = self._put(parse(template), start, f"intent {name}: '{template}'", 0)
            self.graph.arcs[end].append(Arc(self.graph.end))

    def _put(self, node: Node, at: int, where: str, depth: int) -> int:
        """Add `node` from state `at` on; the state where it ends."""
        graph = self.graph
        if depth > DEEPEST:
            raise SecateurError(f"{where}: rules are nested too deep; does one name itself?")
        match node:
            case Word(spoken, written):
                target = graph.add()
                graph.arcs[at].append(Arc(target, spoken, written, value=self._in_slot))
                return target
            case InOrder(parts):
                for part in parts:
                    at = self._put(part, at, where, depth)
                return at
            case Either(parts):
                end = graph.add()
                for part in parts:
                    graph.arcs[self._put(part, at, where, depth)].append(Arc(end))
                return end
            case AnyOrder(parts):
                return self._any_order(parts, at, where, depth)
            case Rule(name):
                if name not in self.rules:
                    raise SecateurError(f"{where}: no rule '{name}'{nearest(name, self.rules)}")
                return self._put(parse(self.rules[name]), at, where, depth + 1)
            case Slot():
                return self._slot(node, at, where, depth)

    def _any_order(self, parts: Sequence[Node], at: int, where: str, depth: int) -> int:
        """A state for every set of parts that are done: 2 ** n states, not n! paths."""
        if len(parts) > 6:
            raise SecateurError(f"{where}: more than six parts in any order")
        done = {0: at}
        for some in range(1 << len(parts)):
            for i, part in enumerate(parts):
                if some & 1 << i:
                    continue
                more = some | 1 << i
                target = done.setdefault(more, self.graph.add())
                self.graph.arcs[self._put(part, done[some], where, depth)].append(Arc(target))
        return done[(1 << len(parts)) - 1]

    def _slot(self, slot: Slot, at: int, where: str, depth: int) -> int:
        arcs = self.graph.arcs
        begin, end = self.graph.add(), self.graph.add()
        arcs[at].append(Arc(begin, mark=Mark("begin", slot.name)))
        self._in_slot = True
        if ".." in slot.values:
            for value, last in self._numbers(*_range(slot.values, where), begin):
                arcs[last].append(Arc(end, mark=Mark("end", slot.name, value)))
        else:
            for value, template in self._ways(slot, where):
                last = self._put(parse(template), begin, where, depth + 1) if template != ANY else self._anything(begin)
                arcs[last].append(Arc(end, mark=Mark("end", slot.name, value)))
        self._in_slot = False
        return end

    def _numbers(self, first: int, last: int, step: int, begin: int) -> list[tuple[str | None, int]]:
        """Every number as a path from `begin`, and where it ends; numbers that begin alike share their begin."""
        known: dict[tuple[str, ...], int] = {(): begin}
        ends: list[tuple[str | None, int]] = []
        for number in range(first, last + 1, step):
            for way in spoken_ways(number, self.language):
                words = tuple(words_of(way))
                for i, word in enumerate(words):
                    if words[: i + 1] not in known:
                        known[words[: i + 1]] = self.graph.add()
                        self.graph.arcs[known[words[:i]]].append(Arc(known[words[: i + 1]], word, word, value=True))
                ends.append((str(number), known[words]))
        return ends

    def _anything(self, begin: int) -> int:
        """One word or more, whatever they are."""
        loop = self.graph.add()
        self.graph.arcs[begin].append(Arc(loop, ANY, ANY))
        self.graph.arcs[loop].append(Arc(loop, ANY, ANY))
        return loop

    def _ways(self, slot: Slot, where: str) -> list[tuple[str | None, str]]:
        """The slot's values, and the template of each."""
        if slot.values == ANY:
            return [(None, ANY)]
        if slot.values not in self.slots:
            raise SecateurError(f"{where}: no list '{slot.values}'{nearest(slot.values, self.slots)}")
        values = self.slots[slot.values]
        if isinstance(values, Mapping):
            return list(values.items())
        return [(None, template) for template in values]


def _range(text: str, where: str) -> tuple[int, int, int]:
    """First, last and step of `1..60` or `0..100,5`."""
    try:
        span, _, step = text.partition(",")
        first, last = (int(number) for number in span.split(".."))
        found = first, last, int(step or 1)
    except ValueError:
        raise SecateurError(f"{where}: '{text}' is not a range such as 1..60 or 0..100,5") from None
    if not 0 <= first <= last <= MOST or found[2] < 1:
        raise SecateurError(f"{where}: the range '{text}' must run upwards within 0 and {MOST}")
    return found
