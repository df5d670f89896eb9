"""Times as people and programs write them."""

from __future__ import annotations

import math
import re

CLOCK = r"(?:\d{1,3}:)?\d{1,2}:\d{2}(?:[.,]\d{1,6})?"
_CLOCK = re.compile(r"(?:(\d{1,3}):)?(\d{1,2}):(\d{2})(?:[.,](\d{1,6}))?")
# Times that stand where no sentence has them: in brackets, before an arrow, two decimals in a row.
IN_TEXT = re.compile(
    rf"[\[(<]\s*{CLOCK}\s*(?:-->?|–|-|,|\])|{CLOCK}\s*-->|(?<![\w.])\d+[.,]\d{{2,}}\s+\d+[.,]\d{{2,}}(?![\w.])"
    r"|(?<!\d)\d{1,2}:\d{2}:\d{2}[.,]\d{1,3}|[\[(]\s*\d+[.,]\d+\s*(?:-|–|-->?|,|:|\s)\s*\d+[.,]\d+\s*[\])]"
)


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
