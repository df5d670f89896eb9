"""Which tokens or units of a text make up each of its words."""

from __future__ import annotations

from collections.abc import Callable, Sequence

UNSPACED = frozenset({"zh", "ja", "th", "lo", "my", "km", "yue"})  # languages written without spaces


def word_pieces(ids: Sequence[int], decode: Callable[[list[int]], str], language: str | None) -> list[tuple[int, int]]:
    """The ids `(first, after)` of each word: a space begins one; in a language without spaces every character does."""
    starts, before = [], ""
    spaced = language not in UNSPACED
    for k in range(len(ids)):
        text = decode(list(ids[: k + 1]))
        whole = not before.endswith("\ufffd")  # else this id ends a character that an earlier one began
        new = text[len(before) :] if whole else ""
        if k == 0 or (new[:1].isspace() if spaced else any(c.isalnum() or c == "\ufffd" for c in new)):
            starts.append(k)
        before = text
    return list(zip(starts, [*starts[1:], len(ids)], strict=True))
