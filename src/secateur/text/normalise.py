"""Text as it is compared: spelling, case, numbers and punctuation made equal before errors are counted.

Normalising is part of a result: the same texts give other figures without. Four ways, of which `Scheme` is the setting:

* `whisper`: Whisper's own rules (Radford et al. 2022, appendix C), for English its English ones, so that error rates
  can be held against published ones. Its rules for other languages put a space for every combining mark, know no
  language's case, and split words at signs that are letters somewhere.
* `language`: what readers of the language hold equal, by `habits` and, for Chinese, by `chinese`. Marks stay.
* `cased`: case and punctuation count ("orthographic", Gandhi et al. 2022, ESB); only typography is made equal.
* `none`: as it stands.

The default is `whisper` where its rules are right for the language (`languages.tsv`), else `language`.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable
from typing import Literal

from ..base.errors import SecateurError, nearest
from ..base.extras import require
from .chinese import compared_chinese, narrow
from .habits import CHINESE, habit_of
from .languages import base_language, language

Scheme = Literal["whisper", "language", "cased", "none"]
SCHEMES: tuple[Scheme, ...] = ("whisper", "language", "cased", "none")
_TYPOGRAPHY = {
    **dict.fromkeys("\u2018\u2019\u201a\u201b\u02bc\u2032\uff07", "'"),
    **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033", '"'),
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
    "\u2026": "...",
    **dict.fromkeys("\u00ad\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\ufeff", ""),
    "\u200b": " ",
}
_STRAIGHT = str.maketrans({mark: "'" for mark, plain in _TYPOGRAPHY.items() if plain == "'"})
_WORD = re.compile(r"[^\W_]")


def default_scheme(name: str) -> Scheme:
    """The scheme that error rates of a language use unless another is asked for.

    >>> default_scheme("en"), default_scheme("hi")
    ('whisper', 'language')

    Raises:
        SecateurError: an unknown language.
    """
    return language(name).normalisation


def scheme_of(name: str, asked: str | None = None) -> Scheme:
    """The scheme that was `asked` for, or the default of the language called `name`.

    Raises:
        SecateurError: an unknown language or scheme.
    """
    if asked is None:
        return default_scheme(name)
    if asked not in SCHEMES:
        raise SecateurError(f"unknown normalisation '{asked}'{nearest(asked, SCHEMES)}: {', '.join(SCHEMES)}")
    return asked


@functools.lru_cache(maxsize=256)
def normaliser(name: str, scheme: str | None = None) -> Callable[[str], str]:
    """The function that prepares references and hypotheses of a language ("en", "zh-CN", ...) for comparison.

    Words are separated by single spaces; characters are not separated (`error_rate.units` does that). A word has a
    letter or a digit: "..." is none, except with `cased` and `none`.

    Raises:
        SecateurError: an unknown language or scheme, or a package that the rules need is not installed.
    """
    return _normaliser(base_language(name), scheme_of(name, scheme))


def explained(name: str, scheme: str | None = None) -> str:
    """In a line, what the scheme does to texts of a language, and why if it is not Whisper's.

    Raises:
        SecateurError: an unknown language or scheme.
    """
    one, chosen = language(name), scheme_of(name, scheme)
    if chosen == "none":
        return f"{one.name}: texts compared as they stand"
    if chosen == "cased":
        return f"{one.name}: case and punctuation count"
    if chosen == "whisper":
        if one.code == "en":
            return f"{one.name}: Whisper's English rules"
        return f"{one.name}: Whisper's basic rules"
    if one.code == "en":
        return f"{one.name}: apostrophes made equal, then Whisper's English rules"
    why = habit_of(one.code).note or "combining marks kept, punctuation and case removed"
    instead = " (Whisper's rules are wrong here)" if one.normalisation == "language" else ""
    return f"{one.name}: {why}{instead}"


def _normaliser(code: str, scheme: Scheme) -> Callable[[str], str]:
    if scheme == "none":
        return _spaced
    if scheme == "cased":
        return functools.partial(_cased, wide=language(code).by_characters)
    if scheme == "language" and code != "en":
        return compared_chinese if code in CHINESE else habit_of(code).normalise
    if code == "en":
        rules = require("whisper_normalizer.english", "train").EnglishTextNormalizer()
    else:
        rules = require("whisper_normalizer.basic", "train").BasicTextNormalizer()

    straight = scheme == "language"  # Whisper's contractions know the typewriter's apostrophe only

    def whisper(text: str) -> str:
        normal = str(rules(text.translate(_STRAIGHT) if straight else text))
        return " ".join(word for word in normal.split() if _WORD.search(word))

    return whisper


def _spaced(text: str) -> str:
    return " ".join(text.split())


def _cased(text: str, wide: bool) -> str:
    """NFC, one kind of quotes, dashes and spaces; `wide`: full-width letters and signs are plain ones."""
    text = unicodedata.normalize("NFC", narrow(text) if wide else text)
    return _spaced("".join(_TYPOGRAPHY.get(c, c) for c in text))


def spoken(text: str) -> str:
    """`text` in lower case with letters, marks, digits and apostrophes within words; single spaces for all else.

    Error rates are counted on more even text (`normalise`), where "three two" is "32" and "don't" is "do not": no
    network hears that, so targets are not spelled so.

    >>> spoken("Don’t—THREE two, 'tis rock 'n' roll!")
    "don't three two tis rock n roll"
    """
    plain = unicodedata.normalize("NFKC", text).lower().replace("’", "'")
    kept = "".join(c if c == "'" or unicodedata.category(c)[0] in "LMN" else " " for c in plain)
    return " ".join(word for word in (w.strip("'") for w in kept.split()) if word)
