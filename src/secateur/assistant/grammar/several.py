"""Two orders in one sentence: "the light and the fan", 打开客厅和卧室的灯, "dim the lamp and set a timer"."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .graph import Graph
from .match import Match, match
from .words import words_of

BOTH = (("and", "then"), ("and",), ("then",), *map(tuple, ("然后", "还有", "并且", "和", "跟", "与", "并", "再")))
FIRST = ("first", "先")  # the first of two
BOTH_WORDS = frozenset(sign[0] for sign in BOTH)
_PARTED = re.compile(r"[,，;；。.!！]\s*")
LONGEST = 30  # words of such a sentence
THING = 5  # words of one of two things that share the rest of a sentence


def matches(graph: Graph, text: str, worst: float = 0.25) -> list[Match]:
    """The order that `text` is, or the two that it joins; empty where it is none, or only one half of it is one.

    "a B c" with "and" between two parts of B is "a B1 c" and "a B2 c"; of the ways to cut it, the cheapest.
    """
    whole = match(graph, text, worst)
    if whole is not None:
        return [whole]
    halves = [half for half in _PARTED.split(text) if half]
    if len(halves) == 2:
        both = [match(graph, half, worst) for half in halves]
        if None not in both:
            return [one for one in both if one is not None]
    words = words_of(text)
    if len(words) > LONGEST or (words and words[-1] == "?"):
        return []
    if words and words[0] in FIRST and not BOTH_WORDS.isdisjoint(words):
        del words[0]
    best: tuple[float, int, list[Match]] | None = None
    for at in range(1, len(words) - 1):
        size = next((len(sign) for sign in BOTH if tuple(words[at : at + len(sign)]) == sign), 0)
        if not size:
            continue
        for begin, end in _cuts(len(words), at, at + size):
            one = _match(graph, [*words[:at], *words[end:]], worst)
            two = one and _match(graph, [*words[:begin], *words[at + size :]], worst)
            if one is None or two is None or ((begin, end) != (0, len(words)) and not _alike(one, two)):
                continue
            candidate = one.cost + two.cost, end - begin, [one, two]
            if best is None or candidate[:2] < best[:2]:
                best = candidate
        break  # at the first sign only
    return best[2] if best is not None else []


def _cuts(count: int, left: int, right: int) -> list[tuple[int, int]]:
    """Where the first of two things may begin and the second end, the sign between them from `left` to `right`."""
    near = [(b, e) for b in range(max(1, left - THING), left) for e in range(right + 1, min(count, right + THING) + 1)]
    return [*near, (0, count)]


def _match(graph: Graph, words: Sequence[str], worst: float) -> Match | None:
    return match(graph, " ".join(words), worst)


def _alike(one: Match, two: Match) -> bool:
    """Whether two orders that share words do the same to two things; "five minutes and a half hour" is one duration."""
    different = set(one.slots.items()) ^ set(two.slots.items())
    return one.intent == two.intent and not any(value.replace(".", "").lstrip("-").isdigit() for _, value in different)
