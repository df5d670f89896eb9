"""Languages by any of their usual names, and their habits: what is counted, and which normalisation is right.

The table `languages.tsv` has one language a line: Whisper's (Radford et al. 2022) first, in the order of their tokens,
then the rest of ISO 639-1 and what Common Voice and FLEURS hold. Codes are Whisper's where ISO 639 has another one
(`no`, `jw`, `tl`); names come from ISO 639-3 and Unicode's CLDR.
"""

from __future__ import annotations

import difflib
import functools
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..base.errors import SecateurError

TABLE = Path(__file__).with_name("languages.tsv")
UNKNOWN = "und"  # ISO 639: undetermined
_SUBTAG = re.compile(r"[A-Za-z0-9]{1,8}")
_TOKEN = re.compile(r"<\|(.+)\|>")
_LOCALE = re.compile(r"[.@].*|\s*\(.*\)")  # de_DE.UTF-8, "Chinese (Taiwan)"
_ACCENTS = re.compile("[\u0300-\u036f]")


@dataclass(frozen=True)
class Language:
    """One line of the table."""

    code: str
    name: str  # English
    metric: Literal["wer", "cer"]  # characters where spaces do not separate words
    normalisation: Literal["whisper", "language"]  # by default: Whisper's rules where they are right
    others: tuple[str, ...] = ()

    @property
    def by_characters(self) -> bool:
        """Written without spaces between words: its error rate counts characters."""
        return self.metric == "cer"


@functools.cache
def languages() -> dict[str, Language]:
    """All languages by their code."""
    table = {}
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        code, name, metric, normalisation, others = line.split("\t")
        names = tuple(one for one in others.split("; ") if one)
        table[code] = Language(code, name, metric, normalisation, names)  # type: ignore[arg-type]
    return table


@functools.lru_cache(maxsize=4096)
def language_tag(name: str) -> str:
    """`name` as a tag: the language's code, and script or region if they were given.

    Understands codes (ISO 639-1, -2, -3, also withdrawn ones), tags with `-` or `_`, locales, Whisper's tokens, and
    names in English, Chinese or the language itself.

    >>> [language_tag(name) for name in ("german", "Deutsch", "iw", "zh_TW", "cmn", "pt-br", "德语", "de_DE.UTF-8")]
    ['de', 'de', 'he', 'zh-TW', 'zh', 'pt-BR', 'de', 'de-DE']

    Raises:
        SecateurError: no such language; the message names the nearest.
    """
    code, rest = _split(name)
    return "-".join([code, *map(_cased, rest)])


def base_language(name: str) -> str:
    """The language's code alone, without script or region.

    >>> base_language("en-US"), base_language("zh-yue"), base_language("nb")
    ('en', 'yue', 'no')

    Raises:
        SecateurError: see `language_tag`.
    """
    return language(name).code


def language(name: str) -> Language:
    """The table's line for a language called `name`.

    Raises:
        SecateurError: see `language_tag`.
    """
    return languages()[_split(name)[0]]


def by_characters(name: str) -> bool:
    """Whether `name` is written without spaces between words, so that its error rate counts characters.

    Raises:
        SecateurError: see `language_tag`.
    """
    return language(name).by_characters


@functools.lru_cache(maxsize=4096)
def _split(name: str) -> tuple[str, tuple[str, ...]]:
    """The code, and the further subtags as they were given."""
    names = _names()
    token = _TOKEN.fullmatch(name.strip())
    plain = _LOCALE.sub("", token[1] if token else name)
    whole = names.get(_key(name)) or names.get(_key(plain))
    if whole is not None:
        return whole, ()
    first, *rest = re.split("[-_]", plain.strip())
    for count in range(len(rest), -1, -1):  # zh-yue-HK is Cantonese
        code = names.get(_key("-".join([first, *rest[:count]])))
        after = tuple(rest[count:])
        if code is not None and all(_SUBTAG.fullmatch(part) for part in after):
            return code, after
    close = difflib.get_close_matches(_key(plain), [n for n in names if len(n) > 3], n=1, cutoff=0.75)
    guess = f" (did you mean '{close[0]}'?)" if close else ""
    raise SecateurError(
        f"unknown language '{name}'{guess}: give a code such as de, zh-CN or yue, or an English name "
        f"('{UNKNOWN}' for one that is not listed)"
    )


@functools.cache
def _names() -> dict[str, str]:
    """Every name in the form that `_key` gives, and the code it means; codes win over names."""
    table: dict[str, str] = {}
    for one in languages().values():
        for name in (one.name, *one.others):
            table.setdefault(_key(name), one.code)
    return table | {code: code for code in languages()}


def _key(name: str) -> str:
    """Names that differ in case, accents, or hyphens for spaces are the same."""
    plain = unicodedata.normalize("NFKD", name.strip().casefold())
    return re.sub(r"[-_\s]+", " ", unicodedata.normalize("NFC", _ACCENTS.sub("", plain)))


def _cased(subtag: str) -> str:
    """Regions in capitals, scripts with one (BCP 47)."""
    if len(subtag) == 2:
        return subtag.upper()
    return subtag.title() if len(subtag) == 4 and subtag.isalpha() else subtag.lower()
