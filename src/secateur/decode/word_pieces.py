"""Which tokens or units of a text make up each of its words."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..text.languages import by_characters


def spaced(language: str | None) -> bool:
    """Whether spaces separate the words of a language; they do where nothing is known of it."""
    return language is None or not by_characters(language)


def word_pieces(ids: Sequence[int], decode: Callable[[list[int]], str], language: str | None) -> list[tuple[int, int]]:
    """The ids `(first, after)` of each word: a space begins one; in a language without spaces every character does."""
    starts, before = [], ""
    by_space = spaced(language)
    for k in range(len(ids)):
        text = decode(list(ids[: k + 1]))
        whole = not before.endswith("\ufffd")  # else this id ends a character that an earlier one began
        new = text[len(before) :] if whole else ""
        if k == 0 or (new[:1].isspace() if by_space else any(c.isalnum() or c == "\ufffd" for c in new)):
            starts.append(k)
        before = text
    return list(zip(starts, [*starts[1:], len(ids)], strict=True))
