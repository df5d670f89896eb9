"""All sentences of a grammar as one graph of words: what phrase mode searches and what texts are matched with."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from ...base.errors import SecateurError, nearest
from .numbers import MOST, number_words, spoken_ways
from .template import AnyOrder, Either, Node, RuleReference, Slot, TemplateWord, parse
from .template import Sequence as InOrder

ANY = "*"  # an arc that takes whatever word is said
NAME = "+"  # one that takes whatever word may be part of a name: none that forbids, asks or counts
NUMBER = "#"  # one that takes a whole number of its range, however many words it has
OPEN = frozenset({ANY, NAME, NUMBER})
LONGEST_NAME = 6  # words
SPELLED = 1000  # the largest number that phrase mode looks for
DEEPEST = 24  # rules within rules


@dataclass(frozen=True)
class Mark:
    """What an arc without a word says about the path: an intent, or the begin or end of a slot."""

    kind: str  # "intent", "begin" or "end"
    name: str
    value: str | None = None  # an end's value; None: the words written since the begin


@dataclass(frozen=True)
class Numbers:
    """`first` to `last` in steps; fractions too where `fractions`."""

    first: int
    last: int
    step: int = 1
    fractions: bool = False

    def holds(self, value: float) -> bool:
        """Whether `value` is one of them."""
        if not self.first <= value <= self.last:
            return False
        return self.fractions or (value - self.first) % self.step == 0


@dataclass(frozen=True)
class Arc:
    """To state `target`, with a word, or without one (`spoken` None) and then perhaps with a mark."""

    target: int
    spoken: str | None = None
    written: str = ""
    mark: Mark | None = None
    value: bool = False  # the word is part of a slot's value
    numbers: Numbers | None = None  # what NUMBER takes
    spelled: bool = False  # one word of a number that NUMBER takes whole: for phrase mode


@dataclass(eq=False)
class Graph:
    """`arcs[state]` leave a state; 0 is the start, `end` the only end."""

    arcs: list[list[Arc]] = field(default_factory=lambda: [[], []])
    end: int = 1
    language: str = "en"
    lists: dict[int, tuple[str, int]] = field(default_factory=dict)  # a slot's name and end, by where its list begins
    values: set[tuple[str, str]] = field(default_factory=set)  # a slot's name and what it may be, of these lists

    def add(self) -> int:
        """A new state."""
        self.arcs.append([])
        return len(self.arcs) - 1

    @cached_property
    def _closures(self) -> dict[int, frozenset[int]]:
        return {}

    def closure(self, state: int) -> frozenset[int]:
        """`state` and all that is reached from it without a word."""
        result = self._closures.get(state)
        if result is None:
            seen, todo = {state}, [state]
            while todo:
                for arc in self.arcs[todo.pop()]:
                    if arc.spoken is None and arc.target not in seen:
                        seen.add(arc.target)
                        todo.append(arc.target)
            # Only what has a word to take, or is the end, matters.
            kept = (s for s in seen if s == self.end or any(arc.spoken is not None for arc in self.arcs[s]))
            result = self._closures[state] = frozenset(kept)
        return result

    @cached_property
    def leaving(self) -> frozenset[int]:
        """States that a word of a text may leave, and the end; to be asked when the grammar is whole."""
        every = enumerate(self.arcs)
        left = (state for state, arcs in every if any(arc.spoken and not arc.spelled for arc in arcs))
        return frozenset({self.end, *left})

    @cached_property
    def _taking(self) -> dict[str, set[int]]:
        """States by the words that leave them; "" are those that leave with words of no list, "a" by first letters."""
        result: dict[str, set[int]] = {"": set()}
        for state, arcs in enumerate(self.arcs):
            for arc in arcs:
                if arc.spoken and not arc.spelled:
                    keys = ("",) if arc.spoken in OPEN else (f"={arc.spoken}", arc.spoken[0])
                    for key in keys:
                        result.setdefault(key, set()).add(state)
        return result

    @cached_property
    def _taken(self) -> dict[str, set[int]]:
        return {}

    def taking(self, word: str, exact: bool) -> set[int]:
        """States that `word` may leave, as it is or (not `exact`) for another that begins alike; of a whole grammar."""
        key = f"={word}" if exact else word[:1]
        if key not in self._taken:
            self._taken[key] = self._taking[""] | self._taking.get(key, set())
        return self._taken[key]

    @cached_property
    def vocabulary(self) -> frozenset[str]:
        """Every word of the grammar; to be asked when it is whole."""
        every = (arc for arcs in self.arcs for arc in arcs)
        return frozenset(arc.spoken for arc in every if arc.spoken and arc.spoken not in OPEN and not arc.spelled)

    @cached_property
    def pairs(self) -> frozenset[tuple[str, str]]:
        """Words that follow each other in some sentence, numbers in digits left out; once the grammar is whole."""
        plain = [
            [arc for arc in arcs if arc.spoken and arc.spoken not in OPEN and not arc.spoken[0].isdigit()]
            for arcs in self.arcs
        ]
        leaving: dict[int, set[str]] = {}
        result: set[tuple[str, str]] = set()
        for arc in (arc for arcs in plain for arc in arcs):
            if arc.target not in leaving:
                near = self.closure(arc.target)
                leaving[arc.target] = {one.spoken for state in near for one in plain[state] if one.spoken}
            result.update((str(arc.spoken), word) for word in leaving[arc.target])
        return frozenset(result)


class Builder:
    """Templates to a graph.

    Args:
        slots: a list's templates by name; a table's keys are the values, its templates what is said.
        rules: templates by name.
        language: how numbers are said.
        most: states at the most: rules within rules grow as a power; None: as many as there are.
    """

    def __init__(
        self,
        slots: Mapping[str, Sequence[str] | Mapping[str, str]],
        rules: Mapping[str, str],
        language: str = "en",
        most: int | None = None,
    ) -> None:
        self.graph = Graph(language=language)
        self.slots, self.rules, self.language = slots, rules, language
        self._in_slot, self._most = False, most

    def add_intent(self, name: str, templates: Sequence[str]) -> None:
        """All sentences of an intent.

        Raises:
            SecateurError: a template that cannot be read, or names a list or rule that is not there.
        """
        start = self.graph.add()
        self.graph.arcs[0].append(Arc(start, mark=Mark("intent", name)))
        shared: dict[tuple[int, Node], int] = {}  # templates that begin alike share these states
        for template in templates:
            end = self._put_beside(parse(template), start, f"intent {name}: '{template}'", 0, shared)
            self.graph.arcs[end].append(Arc(self.graph.end))

    def _put_beside(self, node: Node, at: int, where: str, depth: int, shared: dict[tuple[int, Node], int]) -> int:
        """As `_put`, over the states of what was put before from the same state on and begins alike."""
        for part in node.parts if isinstance(node, InOrder) else (node,):
            if (at, part) not in shared:
                shared[at, part] = self._put(part, at, where, depth)
            at = shared[at, part]
        return at

    def _put(self, node: Node, at: int, where: str, depth: int) -> int:
        """Add `node` from state `at` on; the state where it ends."""
        graph = self.graph
        if depth > DEEPEST:
            raise SecateurError(f"{where}: rules are nested too deep; does one name itself?")
        if self._most is not None and len(graph.arcs) > self._most:
            raise SecateurError(f"{where}: the grammar needs more than {self._most} states: it says too much")
        match node:
            case TemplateWord(spoken, written):
                target = graph.add()
                graph.arcs[at].append(Arc(target, spoken, written, value=self._in_slot))
                return target
            case InOrder(parts):
                for part in parts:
                    at = self._put(part, at, where, depth)
                return at
            case Either(parts):
                end = graph.add()
                shared: dict[tuple[int, Node], int] = {}
                for part in parts:
                    graph.arcs[self._put_beside(part, at, where, depth, shared)].append(Arc(end))
                return end
            case AnyOrder(parts):
                return self._any_order(parts, at, where, depth)
            case RuleReference(name):
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
            self._numbers(_range(slot.values, where), begin, end, slot.name)
        else:
            self.graph.lists[begin] = slot.name, end
            for value, template in self._ways(slot, where):
                self.graph.values.add((slot.name, value or template))
                if template in (ANY, NAME):
                    last = self._anything(begin, template)
                else:
                    last = self._put(parse(template), begin, where, depth + 1)
                arcs[last].append(Arc(end, mark=Mark("end", slot.name, value)))
        self._in_slot = False
        return end

    def _numbers(self, numbers: Numbers, begin: int, end: int, name: str) -> None:
        """One arc for texts; for phrase mode every number up to `SPELLED` as a path."""
        arcs, chinese = self.graph.arcs, self.language.startswith("zh")
        taken, root, whole = self.graph.add(), self.graph.add(), self.graph.add()
        arcs[begin] += [Arc(taken, NUMBER, value=True, numbers=numbers), Arc(root)]
        arcs[taken].append(Arc(end, mark=Mark("end", name)))
        arcs[whole].append(Arc(end))
        spelling = number_words(max(0, numbers.first), min(numbers.last, SPELLED), numbers.step, self.language)
        states = [root, *(self.graph.add() for _ in spelling[1:])]
        for state, (following, ends) in zip(states, spelling, strict=True):
            arcs[state] += [Arc(states[to], word, word, spelled=True) for word, to in following.items()]
            arcs[state] += [Arc(whole)] if ends else []
        if numbers.first < 0:
            signs = ("负",) if chinese else ("minus", "negative")
            arcs[begin] += [Arc(root, sign, sign, spelled=True) for sign in signs]
        if numbers.fractions:
            point, digit = self.graph.add(), self.graph.add()
            arcs[whole].append(Arc(point, *2 * ("点" if chinese else "point",), spelled=True))
            for word in (spoken_ways(number, self.language)[1] for number in range(10)):
                arcs[point].append(Arc(digit, word, word, spelled=True))
                arcs[digit].append(Arc(digit, word, word, spelled=True))
            arcs[digit].append(Arc(end))

    def _anything(self, begin: int, kind: str) -> int:
        """One word or more, whatever they are; of a name only a few."""
        state = self.graph.add()
        self.graph.arcs[begin].append(Arc(state, kind, kind, value=True))
        if kind == ANY:
            self.graph.arcs[state].append(Arc(state, kind, kind, value=True))
            return state
        end = self.graph.add()
        for _ in range(LONGEST_NAME - 1):
            self.graph.arcs[state].append(Arc(end))
            following = self.graph.add()
            self.graph.arcs[state].append(Arc(following, kind, kind, value=True))
            state = following
        self.graph.arcs[state].append(Arc(end))
        return end

    def _ways(self, slot: Slot, where: str) -> list[tuple[str | None, str]]:
        """The slot's values, and the template of each."""
        if slot.values in (ANY, NAME):
            return [(None, slot.values)]
        if slot.values not in self.slots:
            raise SecateurError(f"{where}: no list '{slot.values}'{nearest(slot.values, self.slots)}")
        values = self.slots[slot.values]
        if isinstance(values, Mapping):
            return list(values.items())
        return [(None, template) for template in values]


def _range(text: str, where: str) -> Numbers:
    """`1..60`, `0..100,5`, `-1000.0..1000.0`: a point in a border lets fractions in."""
    result = re.fullmatch(r"\s*(-?\d+)(\.0)?\.\.(-?\d+)(\.0)?(?:,(\d+))?\s*", text)
    if result is None:
        raise SecateurError(f"{where}: '{text}' is not a range such as 1..60, 0..100,5 or 0.0..24.0")
    numbers = Numbers(int(result[1]), int(result[3]), int(result[5] or 1), bool(result[2] or result[4]))
    if not -MOST <= numbers.first <= numbers.last <= MOST or numbers.step < 1:
        raise SecateurError(f"{where}: the range '{text}' must run upwards within {-MOST} and {MOST}")
    return numbers
