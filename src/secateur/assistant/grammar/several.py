"""Several orders in one sentence: "the light and the fan", 打开客厅、卧室和厨房的灯, "dim the lamp and set a timer"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from .graph import Graph
from .match import Match, match, near
from .reasons import reason
from .spans import is_number
from .words import words_of

_BOTH_ZH = (
    *("顺便再", "顺便", "同时", "然后", "接着", "最后", "还有", "并且", "以及"),
    *("和", "跟", "与", "及", "并", "再"),
)
BOTH = (("as", "well", "as"), ("and", "then"), ("and", "also"), ("and",), ("then",), *map(tuple, _BOTH_ZH))
FIRST = ("first", "先")  # the first of several
BOTH_WORDS = frozenset(sign[0] for sign in BOTH)
VERBS = frozenset("开关打把将调设")  # 关灯关电视: in Mandarin the next order may begin without a sign
THINGS = ("area", "name")
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
_PARTED = re.compile(r"(?:[,，、;；。!！]|\.(?!\d))\s*")
LONGEST = 30  # words of such a sentence
MOST = 6  # orders in it
ADDED = 0.1  # for a slot that only the correction has: 八点, 不对, 八点半
THING = 5  # words of one of several things that share the rest of a sentence
Things = tuple[float, int, list[Match]]  # cost, words of the things, the orders


def matches(graph: Graph, text: str, worst: float = 0.25) -> list[Match]:
    """The order that `text` is, or the several that it joins; empty where it is none, or only a part of it is one.

    "a B c" with signs or marks between parts of B is "a B1 c", "a B2 c" and so on; of the ways to cut it, the cheapest.
    What is taken back in the same breath ("the kitchen light, no, the lamp"; 不对，是卧室) is not done.
    """
    whole = match(graph, text, worst)
    if whole is not None:
        return [whole]
    before, sign, after = _taken_back(text)
    if sign:
        return _corrected(graph, before, after, worst)
    rooms = {value.split(":")[0]: value.split(":")[-1] for slot, value in graph.values if slot == "area"}
    room, rest = reason(text, graph.language, sorted(rooms))
    if rest != text:
        return [_in(rooms.get(room, ""), one) for one in matches(graph, rest, worst)]
    return _joined(graph, text, worst)


def _in(room: str, order: Match) -> Match:
    """An order in the room that its reason is about, where it is for a thing of no other room."""
    if not room or "area" in order.slots or order.slots.keys().isdisjoint({"name", "action"}):
        return order
    return replace(order, slots={**order.slots, "area": room})


def _joined(graph: Graph, text: str, worst: float) -> list[Match]:
    """The orders that a sentence joins."""
    words, seams = _parted(graph, text)
    if len(words) > LONGEST or (words and words[-1] == "?"):
        return []
    ways = [_sequence(graph, words, seams, worst)]
    ways += [_shared(graph, words, some, worst) for some in {tuple(seams), tuple(seams[:1])} if some]
    best = min((one for one in ways if one is not None), key=lambda one: one[:2], default=None)
    return best[2] if best is not None and not _contrary(best[2]) else []


def unknown(graph: Graph, text: str, lists: frozenset[str]) -> tuple[str, ...]:
    """The words that keep a text, or one of the things or orders that it joins, from being an order of the grammar;
    empty where it is far from all of them. See `near`."""
    words, seams = _parted(graph, text)
    whole = near(graph, text, lists)
    best = () if whole is None else whole.unknown
    if 1 < len(words) <= LONGEST and words[-1] != "?":
        for at, end in (*seams, *_verbs(graph, words, seams)):
            if _match(graph, words[:at], 0.25) is None:
                continue
            rests = (words[end:], [*words[:at], *words[end:]])  # of 关窗户 alone is too little known
            others = (near(graph, " ".join(rest), lists) for rest in rests)
            other = next((one for one in others if one is not None), None)
            if other is not None and (not best or len(other.unknown) < len(best)):
                best = other.unknown
        cuts = _cuts(graph, words, seams) if seams else []
        for begin, last in sorted(cuts, key=lambda cut: cut[1] - cut[0]):  # the shortest things first
            things = [" ".join(some) for some in _things(words, seams, begin, last)]
            strange = [some for some in things if match(graph, some) is None]
            nearest = [near(graph, some, lists) for some in strange] if len(strange) < len(things) else []
            named = tuple(word for one in nearest if one is not None for word in one.unknown)
            if named and None not in nearest:
                best = named if not best or len(named) < len(best) else best
                break
    return best[1:] if len(best) > 2 and best[0] in VERBS else best


def _parted(graph: Graph, text: str) -> tuple[list[str], list[tuple[int, int]]]:
    """The words of a sentence, and its seams."""
    parts = [words_of(part) for part in _PARTED.split(text)]
    words = [word for part in parts for word in part]
    marks = {sum(map(len, parts[: i + 1])) for i in range(len(parts) - 1)}
    if words and words[0] in FIRST and (marks or not BOTH_WORDS.isdisjoint(words)):
        del words[0]
        marks = {at - 1 for at in marks}
    seams = _seams(graph, words, marks)
    if "both" in words and seams:
        at = words.index("both")
        words = [*words[:at], *words[at + 1 :]]
        seams = [(left - (left > at), right - (right > at)) for left, right in seams]
    return words, seams


def _sign(words: Sequence[str]) -> int:
    """How many of the first words join two orders."""
    return next((len(sign) for sign in BOTH if tuple(words[: len(sign)]) == sign), 0)


def _seams(graph: Graph, words: Sequence[str], marks: set[int]) -> list[tuple[int, int]]:
    """Where parts of a sentence may be joined, from the end of one to the begin of the next: at marks, signs (an "and"
    after a comma is one seam), and in Mandarin between two rooms or two devices (客厅卧室的灯)."""
    result: list[tuple[int, int]] = []
    beside = _beside(graph, words)[0] if graph.language.startswith("zh") else set()
    at = 1
    while at < len(words):
        size = _sign(words[at:])
        if size or at in marks or at in beside:
            result.append((at, at + size))
        at += max(1, size)
    return [(left, right) for left, right in result if right < len(words)]


def _beside(graph: Graph, words: Sequence[str]) -> tuple[set[int], set[int]]:
    """Where a value of a list of things follows another of the same list, and where it would be cut in two."""
    own = sorted(((slot, words_of(value.split(":")[0])) for slot, value in graph.values if slot in THINGS), key=_length)
    beside, inside, at, last = set[int](), set[int](), 0, ""
    while at < len(words):
        slot, size = next(((slot, len(v)) for slot, v in own if v and list(words[at : at + len(v)]) == v), ("", 1))
        if slot and slot == last:
            beside.add(at)
        inside.update(range(at + 1, at + size))
        at, last = at + size, slot
    return beside, inside


def _length(value: tuple[str, list[str]]) -> int:
    return -len(value[1])


def _sequence(graph: Graph, words: Sequence[str], seams: Sequence[tuple[int, int]], worst: float) -> Things | None:
    """One order after the other, each whole; in Mandarin what to do with things follows without a sign."""
    verbs = _verbs(graph, words, seams)

    def after(one: Match | None, begin: int, left: int) -> list[Match]:
        """The orders from word `begin` on, after `one`; at most `left`."""
        last = _second(graph, one, words[begin:], worst)
        if last is not None:
            return [last]
        things = [(a - begin, b - begin) for a, b in seams if a > begin]
        shared = _shared(graph, words[begin:], things, worst) if one is not None and things else None
        if shared is not None or left == 1:
            return shared[2] if shared is not None else []
        for at, end in sorted((at, end) for at, end in (*seams, *verbs) if at > begin):
            single = _second(graph, one, words[begin:at], worst)
            inner = [(a - begin, b - begin) for a, b in seams if begin < a < at] if single is None else []
            several = _shared(graph, words[begin:at], inner, worst) if inner else None
            first = [single] if single is not None else several[2] if several is not None else []
            following = after(first[-1], end, left - 1) if first else []
            if following and ((at, end) in seams or all(map(_plain, (*first, following[0])))):
                return [*first, *following]
        return []

    orders = after(None, 0, MOST) if seams or verbs else []
    return (sum(order.cost for order in orders), len(words), orders) if orders else None


def _verbs(graph: Graph, words: Sequence[str], seams: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Where a Mandarin sentence may go on with another verb."""
    chinese = graph.language.startswith("zh")
    return [(at, at) for at in range(2, len(words) - 1) if chinese and words[at] in VERBS and (at, at) not in seams]


def _plain(order: Match) -> bool:
    """Whether an order is, word for word, to do something with a thing."""
    return order.cost == 0 and not order.slots.keys().isdisjoint(THINGS)


def _shared(graph: Graph, words: Sequence[str], seams: Sequence[tuple[int, int]], worst: float) -> Things | None:
    """Orders of things between all `seams` that share what stands before and after them: the cheapest way."""
    best: Things | None = None
    for begin, end in _cuts(graph, words, seams) if len(seams) < MOST else ():
        orders: list[Match] = []
        for some in _things(words, seams, begin, end):
            order = _match(graph, some, worst)
            if order is None or (orders and not _alike(orders[0], order)):
                break
            orders.append(order)
        candidate = sum(order.cost for order in orders), end - begin, orders
        if len(orders) == len(seams) + 1 and (best is None or candidate[:2] < best[:2]):
            best = candidate
    return best


def _things(words: Sequence[str], seams: Sequence[tuple[int, int]], begin: int, end: int) -> list[list[str]]:
    """The sentence with each of the things between `begin` and `end` alone."""
    edges = [begin, *(edge for seam in seams for edge in seam), end]
    return [[*words[:begin], *words[a:b], *words[end:]] for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _contrary(orders: Sequence[Match]) -> bool:
    """Whether the same thing shall be two ways: 开灯关灯 is a word, or a game, and no order."""
    things = [{key: one.slots.get(key) for key in THINGS} for one in orders if one.intent.startswith("turn")]
    return any(thing in things[:i] for i, thing in enumerate(things))


def _second(graph: Graph, one: Match | None, words: Sequence[str], worst: float) -> Match | None:
    """The order after `one`; of that one's thing, where it says "it", or in Mandarin only what to do."""
    if one is None:
        return _match(graph, words, worst)
    words = [word for word in words[_sign(words) :] if word not in ALSO]
    two = _match(graph, words, worst)
    if two is not None or one.slots.keys().isdisjoint(THINGS):
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
    same = two is not None and all(two.slots.get(key) == one.slots.get(key) for key in THINGS)
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


def _cuts(graph: Graph, words: Sequence[str], seams: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Where the first of several things may begin and the last end, `seams` between them; no name is cut in two."""
    left, right = seams[0][0], seams[-1][1]
    inside = _beside(graph, words)[1]
    begins = [at for at in range(max(0, left - THING), left) if at not in inside]
    ends = [at for at in range(right + 1, min(len(words), right + THING) + 1) if at not in inside]
    return [(begin, end) for begin in begins for end in ends]


def _match(graph: Graph, words: Sequence[str], worst: float) -> Match | None:
    return match(graph, " ".join(words), worst)


def _alike(one: Match, two: Match) -> bool:
    """Whether two orders that share words do the same to two things; "five minutes and a half hour" is one duration."""
    different = set(one.slots.items()) ^ set(two.slots.items())
    return one.intent == two.intent and not any(value.replace(".", "").lstrip("-").isdigit() for _, value in different)
