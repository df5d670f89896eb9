"""Text as it is compared: spelling, case, numbers and punctuation made equal before errors are counted.

The rules are Whisper's own (Radford et al. 2022, appendix C), from the `whisper-normalizer` package, so that error
rates can be held against published ones. Normalising is part of a result: the same text gives other figures without.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from ..base.extras import require
from .chinese import normalise_chinese

# Written without spaces between words: their error rate counts characters.
CHARACTER_LANGUAGES = frozenset({"zh", "yue", "ja", "th", "lo", "my", "km", "bo"})


def base_language(language: str) -> str:
    """`zh-CN` and `zh_TW` are `zh`; letters in lower case.

    >>> base_language("en-US")
    'en'
    """
    return language.replace("_", "-").split("-")[0].lower()


@functools.lru_cache(maxsize=8)
def normaliser(language: str) -> Callable[[str], str]:
    """The function that prepares references and hypotheses of `language` ("en", "zh-CN", ...) for comparison.

    English: Whisper's English rules (contractions, numbers, British spelling, fillers). Chinese: `chinese`'s rules
    (simplified characters, numbers as they are read). Every other language: lower case, no punctuation or bracketed
    remarks, Unicode NFKC (full-width forms become plain). Characters are not separated here; `error_rate.units` does
    that for the character error rate.

    Raises:
        SecateurError: a package that the rules need is not installed; the message says how to get it.
    """
    if base_language(language) == "zh":
        return normalise_chinese
    if base_language(language) == "en":
        rules = require("whisper_normalizer.english", "train").EnglishTextNormalizer()
    else:
        rules = require("whisper_normalizer.basic", "train").BasicTextNormalizer()

    def normalise(text: str) -> str:
        """`text` without what does not count as an error; words are separated by single spaces."""
        return " ".join(str(rules(text)).split())

    return normalise
