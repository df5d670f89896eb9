"""Times and channels as people and programs write them: 1:02.5 or 62.5 s; 1 and 2, left and right, A and B."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

CLOCK = r"(?:\d{1,3}:)?\d{1,2}:\d{2}(?:[.,]\d{1,6})?"
_CLOCK = re.compile(r"(?:(\d{1,3}):)?(\d{1,2}):(\d{2})(?:[.,](\d{1,6}))?")
# Times that stand where no sentence has them: in brackets, before an arrow, two decimals in a row.
IN_TEXT = re.compile(
    rf"[\[(<]\s*{CLOCK}\s*(?:-->?|–|-|,|\])|{CLOCK}\s*-->|(?<![\w.])\d+[.,]\d{{2,}}\s+\d+[.,]\d{{2,}}(?![\w.])"
    r"|(?<!\d)\d{1,2}:\d{2}:\d{2}[.,]\d{1,3}|[\[(]\s*\d+[.,]\d+\s*(?:-|–|-->?|,|:|\s)\s*\d+[.,]\d+\s*[\])]"
)
WORDS = re.compile(r"^(?:channel|chan|ch|kanal|canale?|voie|side|track|#)[\s_.:#-]*(?=\w)", re.IGNORECASE)
NAMED = {
    word: number
    for number, words in enumerate(
        (
            ("left", "l", "links", "gauche", "izquierda", "izq", "sinistra", "esquerda", "左", "左声道"),
            ("right", "r", "rechts", "droite", "derecha", "der", "destra", "direita", "右", "右声道"),
        )
    )
    for word in words
} | {letter: number for number, letter in enumerate("abcdefgh")}
EVERY = frozenset({"", "*", "all", "both", "mix", "mixed", "mono", "none", "null", "stereo"})


def seconds_of(value: object) -> float | None:
    """Seconds that a number, or a text such as `62.5`, `62,5`, `1:02.5` or `00:01:02,500`, means; None: no time.

    >>> seconds_of("00:01:02,500"), seconds_of("2,5"), seconds_of("1:02"), seconds_of("x")
    (62.5, 2.5, 62.0, None)
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return float(value) if math.isfinite(value) else None
    text = str(value).strip().removesuffix("s").strip()
    clock = _CLOCK.fullmatch(text)
    if clock:
        fraction = float(f"0.{clock[4]}") if clock[4] else 0.0
        return 3600 * int(clock[1] or 0) + 60 * int(clock[2]) + int(clock[3]) + fraction
    if not re.fullmatch(r"[+-]?\d{1,12}(?:[.,]\d{1,12})?(?:[eE][+-]?\d{1,2})?", text):
        return None
    return float(text.replace(",", "."))


def times_in(text: str) -> str:
    """The first time that stands in a transcript as annotation, or "".

    >>> times_in("0.000000 2.387000 turn on the light"), times_in("[00:12] hello"), times_in("at 10:30 or 2.5 or 3.5")
    ('0.000000 2.387000', '[00:12]', '')
    """
    match = IN_TEXT.search(text)
    return match[0].strip() if match else ""


class ChannelNames:
    """The names that one table has for channels, read together: whether numbers count from 0 or from 1 shows in all.

    With a 0 among them they count from 0; with a 2 or more and no 0 from 1. Where 1 is the only number, `first` says
    what it is: 0 as NIST's and Kaldi's files have it, 1 as ours; None where nothing says so.
    """

    def __init__(self, names: Iterable[str], first: int | None = None) -> None:
        self._numbers = {name: number for name in set(names) if (number := _number(name)) is not None}
        every = set(self._numbers.values())
        self.counted_from = 0 if 0 in every else 1 if every - {1} else None if not every or first is None else 1 - first

    def index(self, name: str) -> int | None:
        """The channel's number from 0; None for all of them, and for a name that is unknown or `ambiguous`."""
        number = self._numbers.get(name)
        if number is None:
            return NAMED.get(_bare(name))
        return None if self.counted_from is None else number - self.counted_from

    def ambiguous(self, name: str) -> bool:
        """Whether a number may be the first or the second channel."""
        return name in self._numbers and self.counted_from is None

    def unknown(self, name: str) -> bool:
        """Whether a name means no channel, nor all of them."""
        several = len(re.findall(r"\d+", name)) > 1  # "0,1"
        return name not in self._numbers and _bare(name) not in NAMED.keys() | EVERY and not several


def _bare(name: str) -> str:
    return WORDS.sub("", name.strip()).strip().lower()


def _number(name: str) -> int | None:
    """A number as it is written: `2`, `ch 2` or `2.0`."""
    match = re.fullmatch(r"(\d{1,2})(?:\.0+)?", _bare(name))
    return int(match[1]) if match else None
