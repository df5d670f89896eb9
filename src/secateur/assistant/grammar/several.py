"""Two orders in one sentence: "the light and the fan", 打开客厅和卧室的灯, "dim the lamp and set a timer"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from .graph import Graph
from .match import Match, match
from .spans import is_number
from .words import words_of

_BOTH_ZH = ("顺便再", "顺便", "同时", "然后", "还有", "并且", "和", "跟", "与", "并", "再")
BOTH = (("and", "then"), ("and",), ("then",), *map(tuple, _BOTH_ZH))
FIRST = ("first", "先")  # the first of two
BOTH_WORDS = frozenset(sign[0] for sign in BOTH)
ALSO = frozenset({"also", "too", "也"})
IT = frozenset({"it", "them", "它"})
# Signs of a correction; a bare "no" or 不 only between marks: "turn on the light no lamp" is none.
_CORRECTED = re.compile(
    r"""[\s,，、.。;；!！—…-]*(?:
        \b(?:no\s*,?\s*)?(?:sorry|i\s+meant?|wait|(?:actually\s*,?\s*)?make\s+that|or\s+rather|scratch\s+that)(?:\s*,?\s*(?:sorry|no|i\s+meant?))*\b
      | (?<=[,.;!—…-])\s*actually\b
      | (?<=[,.;!—…-])\s*(?:oh\s+|uh\s+|um\s+)?no\s*[,.;!—…-]
      | (?:哦|噢|喔|啊|呃|嗯|哎呀|哎)?[,，]?
        (?:不[对對]|我?[说說][错錯]了?|[哦噢喔啊]不|我是[说說]|我[说說]的是|[应應][该該]是)(?:[,，]?不[对對])*
      | (?<=[,，。;；!！—…])\s*(?:不是|不)\s*[,，。;；!！—…]
    )[\s,，、.。;；!！—…-]*(?:actually\b\s*|(?:[应應][该該])?(?:是|要))?""",
    re.I | re.X,
)
_PARTED = re.compile(r"[,，;；。.!！]\s*")
LONGEST = 30  # words of such a sentence
ADDED = 0.1  # for a slot that only the correction has: 八点, 不对, 八点半
THING = 5  # words of one of two things that share the rest of a sentence


def matches(graph: Graph, text: str, worst: float = 0.25) -> list[Match]:
    """The order that `text` is, or the two that it joins; empty where it is none, or only one half of it is one.

    "a B c" with "and" between two parts of B is "a B1 c" and "a B2 c"; of the ways to cut it, the cheapest. What is
    taken back in the same breath ("the kitchen light, no, the lamp"; 不对，是卧室) is not done.
    """
    whole = match(graph, text, worst)
    if whole is not None:
        return [whole]
    before, sign, after = _taken_back(text)
    if sign:
        return _corrected(graph, before, after, worst)
    halves = [half for half in _PARTED.split(text) if half]
    if len(halves) == 2 and not text.rstrip().endswith(("?", "？")):
        one = match(graph, halves[0], worst)
        two = one and _second(graph, one, words_of(halves[1]), worst)
        if one is not None and two is not None:
            return [one, two]
    words = words_of(text)
    if len(words) > LONGEST or (words and words[-1] == "?"):
        return []
    if words and words[0] in FIRST and not BOTH_WORDS.isdisjoint(words):
        del words[0]
    best: tuple[float, int, list[Match]] | None = None
    for at in range(1, len(words) - 1):
        size = _sign(words[at:])
        if not size:
            continue
        for begin, end in _cuts(len(words), at, at + size):
            apart = (begin, end) == (0, len(words))
            one = _match(graph, [*words[:at], *words[end:]], worst)
            second = [*words[:begin], *words[at + size :]]
            two = one and (_second(graph, one, second, worst) if apart else _match(graph, second, worst))
            if one is None or two is None or (not apart and not _alike(one, two)):
                continue
            candidate = one.cost + two.cost, end - begin, [one, two]
            if best is None or candidate[:2] < best[:2]:
                best = candidate
        break  # at the first sign only
    return best[2] if best is not None else []


def _sign(words: Sequence[str]) -> int:
    """How many of the first words join two orders."""
    return next((len(sign) for sign in BOTH if tuple(words[: len(sign)]) == sign), 0)


def _second(graph: Graph, one: Match, words: list[str], worst: float) -> Match | None:
    """The second order of a text; of the first one's thing, where it says "it", or in Mandarin only what to do."""
    words = [word for word in words[_sign(words) :] if word not in ALSO]
    two = _match(graph, words, worst)
    if two is not None or not one.slots.keys() & {"area", "name"}:
        return two
    chinese = graph.language.startswith("zh")
    thing = words_of(f"{one.slots.get('area', '')} {one.slots.get('name', '')}")
    at = next((at for at, word in enumerate(words) if word in IT), None)
    if at is not None:
        words = [
            *words[:at],
            *([] if chinese else ["the"]),
            *thing,
            *words[at + 1 + (words[at + 1 : at + 2] == ["们"]) :],
        ]
    elif chinese and words:
        words = [*thing, *words]
    two = _match(graph, words, worst)
    same = two is not None and all(two.slots.get(key) == one.slots.get(key) for key in ("area", "name"))
    return two if same else None


def _taken_back(text: str) -> tuple[str, str, str]:
    """A text before and after what takes it back; the sign is empty where nothing does."""
    sign = next((one for one in _CORRECTED.finditer(text) if one.start() and one.end() < len(text)), None)
    return (text, "", "") if sign is None else (text[: sign.start()], sign[0], text[sign.end() :])


def _corrected(graph: Graph, before: str, after: str, worst: float) -> list[Match]:
    """The order `before` with `after` in the place of the words that it corrects: the cheapest such order, which has
    its slots with another value; none where two are as cheap, or `before` was no order."""
    first, words, instead = match(graph, before, worst), words_of(before), words_of(after)
    if first is None or not instead or len(words) > LONGEST:
        return []
    whole = matches(graph, after, worst)
    if whole:
        return whole
    if instead[-1] in ("one", "吧"):
        del instead[-1]
    best: list[Match] = []
    for begin in range(len(words)):
        for end in range(begin + 1, min(len(words), begin + THING) + 1):
            seams = (words[begin - 1 : begin] + instead[:1], instead[-1:] + words[end : end + 1])
            if any(len(seam) == 2 and all(map(is_number, seam)) for seam in seams):
                continue  # 五分钟, 不对, 十分钟 is not 五十分钟
            one = _match(graph, [*words[:begin], *instead, *words[end:]], worst)
            if one is None or not first.slots.keys() <= one.slots.keys() or one.slots == first.slots:
                continue
            one = replace(one, cost=one.cost + ADDED * (len(one.slots) - len(first.slots)))
            if not best or one.cost < best[0].cost:
                best = [one]
            elif one.cost == best[0].cost and all(other.slots != one.slots for other in best):
                best.append(one)
    return best if len(best) == 1 else []


def _cuts(count: int, left: int, right: int) -> list[tuple[int, int]]:
    """Where the first of two things may begin and the second end, the sign between them from `left` to `right`."""
    near = [(b, e) for b in range(max(0, left - THING), left) for e in range(right + 1, min(count, right + THING) + 1)]
    return [*near, (0, count)]


def _match(graph: Graph, words: Sequence[str], worst: float) -> Match | None:
    return match(graph, " ".join(words), worst)


def _alike(one: Match, two: Match) -> bool:
    """Whether two orders that share words do the same to two things; "five minutes and a half hour" is one duration."""
    different = set(one.slots.items()) ^ set(two.slots.items())
    return one.intent == two.intent and not any(value.replace(".", "").lstrip("-").isdigit() for _, value in different)
