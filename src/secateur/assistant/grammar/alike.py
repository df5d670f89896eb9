"""Which words a recogniser or a typist may have written for another; never a word that means something of its own."""

from __future__ import annotations

import re
from functools import lru_cache

from .spans import is_number

STRETCHED = 0.2  # onn for on
PLURAL = 0.1  # lamps for lamp
ONE_LETTER = 0.3  # kichen, kitchin, kitchne
SOUNDS = 0.5  # blew for blue
SHORTEST = 4  # letters of a word that may have one wrong
_INFLECTED = ("ed", "ing", "s", "er", "en")


@lru_cache(maxsize=100_000)
def unlike(wanted: str, written: str, value: bool) -> float | None:
    """The cost of `written` for `wanted`, or None where it is another word.

    The first letter must be right (a van is no fan), numbers are never changed, and a verb in another form is another
    thing: "turned" reports. In a slot's value a plural is the thing itself.

    >>> unlike("kitchen", "kichen", True), unlike("turn", "turned", False), unlike("fan", "van", True)
    (0.3, None, None)
    """
    if wanted == written:
        return 0.0
    if not written or wanted[:1] != written[:1] or is_number(wanted) or is_number(written):
        return None
    if value and written in (wanted + "s", wanted + "es") and len(wanted) > 2:
        return PLURAL
    if written.startswith(wanted) and written[len(wanted) :] in _INFLECTED:
        return None
    if not wanted.isascii() or not written.isascii():
        return None
    if re.fullmatch("".join(f"{letter}+" for letter in map(re.escape, wanted)), written):
        return STRETCHED
    if min(len(wanted), len(written)) < SHORTEST:
        return None
    if one_apart(wanted, written):
        return ONE_LETTER
    return SOUNDS if sound(wanted) == sound(written) and abs(len(wanted) - len(written)) < 3 else None


def one_apart(a: str, b: str) -> bool:
    """Whether one letter more, less or changed, or two that trade places, make one of the other."""
    if len(a) > len(b):
        a, b = b, a
    i = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), len(a))
    if len(b) - len(a) == 1:
        return a[i:] == b[i + 1 :]
    swapped = a[i : i + 2] == b[i : i + 2][::-1] and a[i + 2 :] == b[i + 2 :]
    return len(a) == len(b) and (swapped or a[i + 1 :] == b[i + 1 :])


def sound(word: str) -> str:
    """Roughly how an English word sounds: its consonants, those at its end that are not spoken left out.

    >>> sound("blew"), sound("blue"), sound("lamb")
    ('bl', 'bl', 'lm')
    """
    word = re.sub(r"mb$", "m", re.sub(r"gh", "", re.sub(r"^kn", "n", re.sub(r"ph", "f", word))))
    word = re.sub(r"c(?=[eiy])", "s", word).replace("ck", "k").replace("c", "k").replace("z", "s")
    return re.sub(r"(.)\1+", r"\1", word[:1] + re.sub(r"[aeiouyhw]", "", word[1:]))
