"""What can be said: the examples that a grammar gives, or a sentence of every intent where it gives none."""

from __future__ import annotations

from .graph import ANY, NAME, NUMBER, Graph, Numbers
from .match import match
from .words import joined

ANYTHING = {"en": {ANY: "buy some milk", NAME: "Berlin"}, "zh": {ANY: "买牛奶", NAME: "北京"}}
LIKED = (20, 5, 7, 2, 50, 1)  # numbers of examples
LONGEST = 40  # words


def drawn(graph: Graph) -> list[str]:
    """The sentence of every intent that its first template begins with, always the first of several ways."""
    result, known = [], set[str]()
    for arc in graph.arcs[0]:
        if arc.mark is None or arc.mark.name in known:
            continue
        text = joined(_first(graph, arc.target))
        if match(graph, text, 0.0) is not None:
            known.add(arc.mark.name)
            result.append(text)
    return result


def _first(graph: Graph, state: int) -> list[str]:
    words: list[str] = []
    language = "zh" if graph.language.startswith("zh") else "en"
    while state != graph.end and len(words) < LONGEST:
        arc = next(arc for arc in graph.arcs[state] if not arc.spelled)
        if arc.spoken in (ANY, NAME):
            words.append(ANYTHING[language][arc.spoken])
            state = next(one.target for one in graph.arcs[arc.target] if one.spoken is None)
            continue
        if arc.spoken == NUMBER and arc.numbers is not None:
            words.append(_number(arc.numbers))
        elif arc.spoken is not None:
            words.append(arc.spoken)
        state = arc.target
    return words


def _number(numbers: Numbers) -> str:
    return str(next((value for value in LIKED if numbers.holds(value)), numbers.first))
