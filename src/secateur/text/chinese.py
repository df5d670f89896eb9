"""Chinese text as it is compared: one width, one script, numbers and units as they are read aloud.

「１９４５年」 in digits and 一九四五年 in characters are the same words. Script: OpenCC, by phrase (Taiwan's standard
to simplified). Numbers, dates, times, money and units: the grammars of WeTextProcessing.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import Any

from ..base.extras import require

EXTRA = "zh"
HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u3007\U00020000-\U0003ffff"  # inside [...] of a regular expression
_READABLE = re.compile(
    r"[0-9²³%‰℃℉°$¥€£㎎-㏄①-⒛❶-❿Ⅰ-Ⅻ¼-¾⅐-⅞]|[周期拜][一二三四五六日天]\s*[-–—~～]"
)  # what the grammars turn into words
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_COMPOUND = re.compile(r"(?<=[A-Za-z])[-_](?=\d)|(?<=\d)[-_](?=[A-Za-z])")  # COVID-19: no minus
_ZERO = re.compile(r"[〇○]")
_MARKED = re.compile(r"[<\[][^>\]]*[>\]]")  # [noise], <unk>
# What OpenCC leaves: characters and words that are written two ways (General List of Standard Chinese Characters).
_SAME = {"甚么": "什么", "甚麼": "什么", "妳": "你", "瞭": "了", "祂": "他", "牠": "它", "喫": "吃", "纔": "才",
         "麽": "么", "帐号": "账号", "帐户": "账户", "裡": "里", "裏": "里", "牀": "床", "吿": "告"}  # fmt: skip
VARIANTS = frozenset("".join(_SAME)) - frozenset("什么号户")
_ZHU = re.compile("(?<=[显卓论译专土原])着")  # 显著 of simplified text, which OpenCC takes for Taiwan's 着
_OTHER = re.compile("|".join("瞭(?![望哨])" if one == "瞭" else one for one in _SAME))
_NARROW = {0x3000: " ", **{code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}}


def narrow(text: str) -> str:
    """Full-width letters, digits and signs as plain ones; everything else as it is.

    >>> narrow("ＧＰＳ　２０％")
    'GPS 20%'
    """
    return text.translate(_NARROW)


def simplified(text: str) -> str:
    """Traditional characters as simplified ones, by phrase where the character alone does not say (乾隆, 乾燥).

    Raises:
        SecateurError: OpenCC is not installed.
    """
    converted = str(_converter().convert(text))
    if "着" in converted:
        converted = _ZHU.sub("著", converted)
    return converted if VARIANTS.isdisjoint(converted) else _OTHER.sub(lambda m: _SAME[m[0]], converted)


def written_as(text: str, plain: str) -> str:
    """`plain`, simplified and as long as `text`, in the script of `text`; what is the same stays as it is there.

    Raises:
        SecateurError: OpenCC is not installed.
    """
    before, other = simplified(text), str(_converter("s2tw").convert(plain))
    as_simplified = sum(a != b for a, b in zip(text, _converter("s2tw").convert(text), strict=False))
    mostly = as_simplified > sum(a != b for a, b in zip(text, before, strict=False))
    new = plain if mostly or len(other) != len(plain) else other
    return "".join(a if b == c else d for a, b, c, d in zip(text, before, plain, new, strict=True))


def spoken(text: str) -> str:
    """Numbers, dates, times, money, fractions and units as they are read aloud, in simplified characters.

    Raises:
        SecateurError: wetext is not installed.
    """
    from .chinese_numbers import numbers_read, one_reading, signs_read  # 60 patterns, which other languages never need

    if _READABLE.search(text):
        text = numbers_read(_THOUSANDS.sub("", signs_read(text)).replace("￥", "¥"))
    text = _COMPOUND.sub(" ", text)
    return one_reading(str(_grammars().normalize(text)) if _READABLE.search(text) else text)


def normalise_chinese(text: str) -> str:
    """`text` without what does not count as an error: width, script, digits, case, punctuation, marks in brackets.

    Characters of Chinese words are not separated; Latin words keep single spaces around them.

    Raises:
        SecateurError: the extra `zh` is not installed.
    """
    text = _MARKED.sub(" ", narrow(text))
    text = _ZERO.sub("零", spoken(simplified(text)))
    letters = unicodedata.normalize("NFKC", text).lower()
    kept = "".join(" " if unicodedata.category(c)[0] in "MSPZC" else c for c in letters)
    return " ".join(kept.split())


def compared_chinese(text: str) -> str:
    """`normalise_chinese`, and numbers that are said in two ways as one: 1500 is 一千五 and 一千五百."""
    from .chinese_numbers import one_number

    return one_number(normalise_chinese(text))


@functools.cache
def _converter(to: str = "tw2s") -> Any:
    return require("opencc", EXTRA).OpenCC(to)


@functools.cache
def _grammars() -> Any:
    return require("wetext", EXTRA).Normalizer(lang="zh", operator="tn")
