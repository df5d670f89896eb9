"""Sentence templates, in the syntax of `hassil`: `turn (on|off) [the] {name} [in <area>]`.

`(a|b)` alternatives, `[a]` optional, `(a;b)` both in any order, `{list}` or `{list:slot}` a slot, `{1..60:minutes}`
a number (`{0.0..24.0:hours}`: fractions too), `{*:text}` any words, `{+:place}` a name of up to six words, `<rule>`
another template. Beyond hassil: `oz:ounce` is spoken as `oz` and written as
`ounce` in the value of its slot; `um:` is spoken and not written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from ...base.errors import SecateurError
from .words import words_of

_PIECE = re.compile(r"\s*([()\[\]|;]|\{[^{}]*\}|<[^<>]*>|[^\s()\[\]|;{}<>]+)")


@dataclass(frozen=True)
class TemplateWord:
    """One spoken word and what a slot's value says for it."""

    spoken: str
    written: str


@dataclass(frozen=True)
class Slot:
    """A list's words, filled into the slot `name`; `values` is a list's name, a range `1..60`, or `*`."""

    values: str
    name: str


@dataclass(frozen=True)
class RuleReference:
    """Another template, by name."""

    name: str


@dataclass(frozen=True)
class Sequence:
    """One after the other."""

    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Either:
    """One of the parts is said."""

    parts: tuple[Node, ...]


@dataclass(frozen=True)
class AnyOrder:
    """All of them, in whatever order."""

    parts: tuple[Node, ...]


Node = TemplateWord | Slot | RuleReference | Sequence | Either | AnyOrder


@lru_cache(maxsize=4096)  # rules are read wherever they are named
def parse(template: str) -> Node:
    """The tree of one template.

    >>> parse("turn [it] on").parts[1]
    Either(parts=(TemplateWord(spoken='it', written='it'), Sequence(parts=())))

    Raises:
        SecateurError: brackets that do not pair, or a stray sign.
    """
    pieces = _pieces(template)
    node, at = _alternatives(pieces, 0, template)
    if at != len(pieces):
        raise SecateurError(f"template '{template}': '{pieces[at]}' closes nothing")
    return node


def _pieces(template: str) -> list[str]:
    result, at = [], 0
    text = template.rstrip()
    while at < len(text):
        match = _PIECE.match(text, at)
        if match is None:
            raise SecateurError(f"template '{template}': cannot be read from '{text[at:].strip()}' on")
        result.append(match.group(1))
        at = match.end()
    return result


def _alternatives(pieces: list[str], at: int, template: str) -> tuple[Node, int]:
    """Sequences between `|` or `;`, up to a closing bracket or the end."""
    groups: list[list[Node]] = [[]]
    signs = set()
    while at < len(pieces) and pieces[at] not in (")", "]"):
        piece = pieces[at]
        at += 1
        if piece in ("|", ";"):
            signs.add(piece)
            groups.append([])
        elif piece in ("(", "["):
            inner, at = _alternatives(pieces, at, template)
            closing = {"(": ")", "[": "]"}[piece]
            if at == len(pieces) or pieces[at] != closing:
                raise SecateurError(f"template '{template}': '{piece}' is not closed by '{closing}'")
            at += 1
            groups[-1].append(Either((inner, Sequence(()))) if piece == "[" else inner)
        else:
            groups[-1] += _leaf(piece, template)
    if len(signs) > 1:
        raise SecateurError(f"template '{template}': '|' and ';' in one bracket: put brackets around one of them")
    parts = tuple(group[0] if len(group) == 1 else Sequence(tuple(group)) for group in groups)
    if len(parts) == 1:
        return parts[0], at
    return (AnyOrder(parts) if signs == {";"} else Either(parts)), at


def _leaf(piece: str, template: str) -> list[Node]:
    """Words, a slot or a rule; `sixteen-ounce` is two words."""
    if piece[0] == "{":
        values, _, name = piece[1:-1].strip().partition(":")
        if not values:
            raise SecateurError(f"template '{template}': '{{}}' names no list")
        return [Slot(values, name or values)]
    if piece[0] == "<":
        return [RuleReference(piece[1:-1].strip())]
    spoken, colon, written = piece.partition(":")
    words = words_of(spoken)
    if not words and not colon:
        raise SecateurError(f"template '{template}': '{piece}' is not a word")
    if not colon:
        return [TemplateWord(word, word) for word in words]
    return [TemplateWord(word, written.replace("_", " ") if i == 0 else "") for i, word in enumerate(words)]
