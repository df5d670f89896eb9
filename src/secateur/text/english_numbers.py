"""Numbers in English text as they are written: inverse text normalisation.

`text2num` reads a run of number words; which runs are numbers, is decided here. Counts below ten stay words (two dogs)
unless a unit follows or what they number goes before (5%, chapter 3); so do set phrases, hundreds of people, two thirds
and first to ninth but in dates.
"""

from __future__ import annotations

import re

from ..base.extras import require


def _words(text: str) -> list[str]:
    return text.split()


_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_ONES = _words("zero one two three four five six seven eight nine")
ONES = {**{word: i for i, word in enumerate(_ONES)}, "nought": 0, "naught": 0}
_TEENS = _words("ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen")
TEENS = {word: 10 + i for i, word in enumerate(_TEENS)}
TENS = {word: 10 * i for i, word in enumerate(_words(_TENS), 2)}
LARGE = frozenset(_words("hundred thousand million billion trillion"))
DECADES = {word[:-1] + "ies": value for word, value in TENS.items()}
_FIRST = _words("first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth")
ORDINALS = {
    **{word: i for i, word in enumerate(_FIRST, 1)},
    **{word + "th": value for word, value in TEENS.items() if value > 12},
    **{word[:-1] + "ieth": value for word, value in TENS.items()},
}
_UNITS = re.compile(
    r"(?:percent|per cent|degrees?|dollars?|cents?|euros?|pounds?|kilomet|centimet|millimet|met(?:er|re)s?|miles?|"
    r"feet|foot|inch|kilos?|kilogram|grams?|lit(?:er|re)s?|a\.?m\b|p\.?m\b|[ap] m\b|o'clock|gigabytes?|megabytes?|"
    r"million|billion|trillion)"
)
_NUMBERED = frozenset(
    _words(
        "foot chapter page room extension verse act scene article row seat ward zone sector phase stage flat terminal "
        "number flight channel level version grade platform gate step part section unit highway "
        "route bus line season episode volume track lane exit figure table question lesson"
    )
)
_CLOCK = frozenset(_words("at by until till around before after about from it's"))
_MONTHS = _words("january february march april may june july august september october november december")
_STAYING = (("fifty", "fifty"), ("twenty", "four", "seven"), ("nine", "eleven"))
_PRICE = re.compile(  # ten dollars fifty; not five pounds ten ounces
    r"(?<![\d.])(\d+) (dollars?|pounds?|euros?) (\d\d)(?=$|[.,;!?]| (?:each|a|an|per|please|for)\b)"
)
_SIGN = {"d": "$", "p": "£", "e": "€"}
_SPANS = frozenset(_words("timer break delay pause clip video rule countdown ad window"))  # a twenty second timer
_DIGITS = {**{word: str(value) for word, value in ONES.items()}, "oh": "0", "o": "0"}
_TIMES = {"double": 2, "triple": 3, "treble": 3}  # double seven three: 773
_COUNTING = {**ONES, **TEENS, **TENS}
_TOKEN = re.compile(r"[A-Za-z]+(?:'[A-Za-z]+)?|[^A-Za-z]+")


def english_numbers(text: str) -> str:
    """Numbers in English text as they are written; digits said one by one are one number.

    >>> english_numbers("call five five five one two three four, it is three point five percent")
    'call 5551234, it is 3.5%'
    >>> english_numbers("at seven thirty, two of a hundred and five, three point five million, minus five degrees")
    'at 7:30, two of 105, 3.5 million, -5 degrees'
    """
    tokens = _TOKEN.findall(text)
    words = [(at, token.lower()) for at, token in enumerate(tokens) if token[0].isalpha()]
    at = 0
    while at < len(words):
        size = _run(tokens, words, at)
        if not size:
            at += 1
            continue
        before = words[at - 1][1] if at and _joined(tokens, words, at) else ""
        if before == "the" and at > 1 and words[at - 2][1] in _MONTHS:
            before = words[at - 2][1]  # march the third
        elif before in ("by", "to", "past") and at > 1 and tokens[words[at - 2][0]].isdigit():
            before = "number"  # 16 by 9, 10 past 8
        after = [word for _, word in words[at + size : at + size + 2]]
        written, used = _written([word for _, word in words[at : at + size]], before, " ".join(after))
        if written is not None:
            first, last = words[at][0], words[at + used - 1][0]
            tokens[first : last + 1] = [written, *[""] * (last - first)]
        at += max(used, 1)
    return _PRICE.sub(_price, re.sub(r"(?<=\d) per ?cent\b", "%", "".join(tokens)))


def _price(m: re.Match[str]) -> str:
    """`4 pounds 50`: 50 what, does not say it."""
    return f"{_SIGN[m[2][0].lower()]}{m[1]}.{m[3]}"


def _joined(tokens: list[str], words: list[tuple[int, str]], at: int) -> bool:
    """Whether nothing but a space or a hyphen stands before word `at`."""
    return "".join(tokens[words[at - 1][0] + 1 : words[at][0]]) in (" ", "-")


def _run(tokens: list[str], words: list[tuple[int, str]], at: int) -> int:
    """How many words from `at` on are a number's."""
    word = words[at][1]
    sign = word in ("minus", "negative")
    article = word == "a" and at + 1 < len(words) and words[at + 1][1] in LARGE
    spelled = _digits_from(tokens, words, at)
    if spelled and (word in _TIMES or spelled >= 4):
        return spelled
    if not (sign or article or word in _COUNTING or word in ORDINALS or word == "point"):
        return 0
    size, last = 1, word
    while at + size < len(words) and _joined(tokens, words, at + size):
        here = words[at + size][1]
        following = words[at + size + 1][1] if at + size + 1 < len(words) else ""
        counts = here in _COUNTING or here in ORDINALS or (here in LARGE and last not in ("minus", "negative"))
        digits = all(other in _DIGITS or other in _TIMES for _, other in words[at : at + size])
        counts |= digits and ((here in _TIMES and following in _DIGITS) or (last in _TIMES and here in _DIGITS))
        counts |= here in ("oh", "o") and (last == "point" or (last in _COUNTING and following in _DIGITS))
        counts |= here == "point" and following in _DIGITS
        counts |= here in DECADES and last in TEENS
        counts |= here == "and" and last in LARGE and (following in _COUNTING or following in ORDINALS)
        if not counts or last in ORDINALS:
            break
        size, last = size + 1, here
    return 0 if size == 1 and (sign or article or word == "point") else size


def _digits_from(tokens: list[str], words: list[tuple[int, str]], at: int) -> int:
    """How many words from `at` on are digits said one by one, a doubled one for two; 0 for fewer than three digits that
    begin with an "oh" or a double."""
    end = at
    while end < len(words) and (end == at or _joined(tokens, words, end)) and words[end][1] in {**_DIGITS, **_TIMES}:
        end += 1
    run = [word for _, word in words[at:end]]
    begun = bool(run) and run[0] in (*_TIMES, "oh", "o") and run[-1] in _DIGITS
    return len(run) if begun and len(_spelled(run)) >= 3 else 0


def _spelled(run: list[str]) -> str:
    """The digits of a run of them; empty where it has anything else."""
    result, times = "", 1
    for word in run:
        if word not in _DIGITS and word not in _TIMES:
            return ""
        result += times * _DIGITS.get(word, "")
        times = _TIMES.get(word, 1)
    return result


def _written(run: list[str], before: str, after: str) -> tuple[str | None, int]:
    """What a run of number words is written as (None: it stays), and how many words that is."""
    size, sign = len(run), ""
    if tuple(run) in _STAYING or (run[0] == "a" and size == 2 and run[1] not in ("hundred", "thousand")):
        return None, size
    if run[0] in ("minus", "negative"):
        if before in _COUNTING or before in LARGE:
            return None, 1  # ten minus five
        run, sign = run[1:], "-"
    if run[-1] in DECADES:
        return f"{TEENS[run[0]]}{DECADES[run[1]]}s" if len(run) == 2 else None, size
    if run[-1] in ORDINALS:
        written = _ordinal(run, before, after)
        return (sign + written if written else None), size
    clock = _clock(run)
    if clock and (before in _CLOCK or re.match(r"[ap]\.? ?m\b", after)):
        return clock, size
    if len(_spelled(run)) >= 3:
        return sign + _spelled(run), size
    year = _year(run)
    if year and not _UNITS.match(after):
        return year, size
    if run.count("point") > 1:
        parts = [
            _value(part.split()) if part in ONES or part in TEENS else None for part in " ".join(run).split(" point ")
        ]
        return (None if None in parts else ".".join(map(str, parts))), size  # version 4.2.1
    if "point" in run:
        return _decimal(run, sign), size
    if len(run) == 1 and run[0] in ONES and not sign and not (_UNITS.match(after) or before in _NUMBERED):
        return None, size
    value = _value(["one" if word == "a" else word for word in run])
    return (None if value is None else sign + value), size


def _value(run: list[str]) -> str | None:
    """The number that words say; None: they say several, or none."""
    digits = str(require("text_to_num", "numbers").alpha2digit(" ".join(run), "en"))
    if digits.isdigit():
        return digits
    return str(_COUNTING[run[0]]) if len(run) == 1 and run[0] in _COUNTING else None


def _decimal(run: list[str], sign: str) -> str | None:
    """`three point five million` is 3.5 million."""
    at = run.index("point")
    whole = _value(run[:at]) if at else "0"
    end = next((i for i in range(at + 1, len(run)) if run[i] not in _DIGITS), len(run))
    digits = "".join(_DIGITS[word] for word in run[at + 1 : end])
    scale = run[end:]
    if whole is None or not digits or len(scale) > 1 or any(word not in LARGE for word in scale):
        return None
    return f"{sign}{whole}.{digits}{' ' + scale[0] if scale else ''}"


def _clock(run: list[str]) -> str | None:
    """`seven thirty`, `ten oh five` as times of the day."""
    hour = _COUNTING.get(run[0], 0)
    if not 1 <= hour <= 12 or len(run) not in (2, 3):
        return None
    minute = _two_digits(run[1:])
    return f"{hour}:{minute}" if minute is not None and int(minute) < 60 else None


def _year(run: list[str]) -> str | None:
    """`nineteen ninety eight`, `twenty oh six`."""
    if run[0] not in ("twenty", *TEENS) or len(run) < 2 or run[1] in ONES or TEENS.get(run[0], 20) < 11:
        return None
    rest = _two_digits(run[1:])
    return None if rest is None else f"{_COUNTING[run[0]]}{rest}"


def _two_digits(words: list[str]) -> str | None:
    """`thirty`, `thirty five`, `fifteen`, `oh five`; None: no such number."""
    if words[0] in ("oh", "o") and len(words) == 2 and words[1] in ONES:
        return f"0{ONES[words[1]]}"
    if words[0] in TEENS and len(words) == 1:
        return str(TEENS[words[0]])
    if words[0] in TENS and (len(words) == 1 or (len(words) == 2 and ONES.get(words[1], 0) > 0)):
        return str(TENS[words[0]] + (ONES[words[1]] if len(words) == 2 else 0))
    return None


def _ordinal(run: list[str], before: str, after: str) -> str | None:
    """`twenty first` is 21st; first to ninth stay words but beside a month, and so do thirds of something."""
    value = ORDINALS[run[-1]]
    if run[-1] == "second" and after.split(" ")[0] in _SPANS:
        whole = _value(run[:-1]) if len(run) > 1 else None
        return None if whole is None else f"{whole} second"
    if len(run) > 1:
        if run[-2] not in TENS and run[-2] not in LARGE and run[-2] != "and":
            return None  # one third
        whole = _value([*run[:-1]] if run[-2] != "and" else run[:-2])
        if whole is None or not whole.isdigit():
            return None
        value += int(whole)
    dated = before in _MONTHS or (after[:3] == "of " and after[3:] in _MONTHS)
    if value < 10 and not dated:
        return None
    ending = "th" if value % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")
    return f"{value}{ending}"
