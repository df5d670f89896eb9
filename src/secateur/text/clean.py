"""Cleaning transcripts before training: a list of regular expressions, configurable in TOML.

    unicode = "NFKC"        # or "NFC", or "none"
    defaults = true         # the rules of this module run before yours

    [[rule]]
    pattern = '\\bmr\\.?(?= )'
    replace = "mister"

Cleaning changes what a model learns to write. What only counts as no error is the normaliser's business.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..base.files import read_toml
from ..base.options import from_dict

# What any of the rules above, Unicode normalisation or white space may change: texts without it stay as they are.
SPECIAL = re.compile(r"[^ -~]|[`<\[{+!&]|  ")
ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
MARKUP = re.compile(rf"{ENTITY.pattern}|</?[A-Za-z][^<>]*>|</[A-Za-z]\w*|<[A-Za-z]\w*(?=\s+[\w-]+=)|<!--")


@dataclass(frozen=True)
class Rule:
    """Every match of a regular expression becomes `replace` (which may use groups: `\\1`, `\\g<name>`)."""

    pattern: str
    replace: str = ""

    def __post_init__(self) -> None:
        try:
            compiled = re.compile(self.pattern)
        except re.error as problem:
            place = "" if problem.pos is None else f" at character {problem.pos + 1}"
            raise ValueError(f"pattern '{self.pattern}' is no regular expression: {problem.msg}{place}") from problem
        try:
            compiled.sub(self.replace, "")  # reads the replacement even where nothing matches
        except (re.error, IndexError) as problem:
            raise ValueError(f"replace '{self.replace}' does not fit pattern '{self.pattern}': {problem}") from problem


# Before Unicode normalisation, which would turn an acute accent used as apostrophe into a space and a combining mark.
CHARACTERS = (
    Rule("[\u2018\u2019\u201a\u201b\u02bc\u2032\u00b4`]", "'"),
    Rule("[\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033\u301d\u301e]", '"'),
    Rule("[\u2010-\u2015\u2212]", "-"),
    # Soft hyphen, zero-width and direction marks; the joiners of Persian and Indic scripts (200c, 200d) stay.
    Rule("[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\ufeff\ufffd]"),
    Rule(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]"),
)
MARKS = (
    Rule(r"<!--(?s:.*?)-->", " "),
    Rule(r"<[A-Za-z][\w:-]*(?:\s+[\w:.-]+\s*=\s*(?:\"[^\"<>]*\"|'[^'<>]*'|[^\s<>\"']+))+\s*/?>", " "),  # <font size=1>
    Rule(r"<[/\w][^<>]{0,40}>", " "),  # <unk>, <noise>, </s>
    Rule(r"\[[^\[\]]{1,40}\]", " "),  # [noise], [laughter]
    Rule(r"\{[^{}]{1,40}\}", " "),  # {breath}
    Rule(r"\+\+[^+\s]{1,40}\+\+", " "),  # ++um++
    Rule(r"(?<!\S)!SIL(?!\S)", " "),
)


@dataclass(frozen=True)
class CleanRules:
    """HTML entities, default characters, Unicode form, default marks, then `rule` in order; white space becomes single
    spaces last.
    """

    unicode: Literal["NFKC", "NFC", "none"] = "NFKC"
    defaults: bool = True
    rule: tuple[Rule, ...] = ()


def read_rules(path: str | Path) -> CleanRules:
    """The rules in a TOML file.

    Raises:
        SecateurError: no such file, not TOML, an unknown key, or a bad pattern; the message names the rule.
    """
    return from_dict(CleanRules, read_toml(path), str(path))


def marks_in(text: str) -> list[str]:
    """What cleaning takes for marks of something that nobody says, in the order of the text.

    >>> marks_in("hello [applause] there <unk> [music]")
    ['[applause]', '<unk>', '[music]']
    """
    return re.findall("|".join(rule.pattern for rule in MARKS), text)


def decoded_entities(text: str) -> str:
    """`text` with the characters that its HTML entities stand for, also where they were encoded twice.

    >>> decoded_entities("R&amp;D, it&#39;s &amp;lt;b&amp;gt; AT&T &unknown;")
    "R&D, it's <b> AT&T &unknown;"
    """
    while (decoded := ENTITY.sub(lambda match: html.unescape(match[0]), text)) != text:
        text = decoded
    return text


def markup_in(text: str) -> list[str]:
    """HTML entities and tags in a text, each once.

    >>> markup_in("a &amp; b <i>c</i> 1 < 2"), markup_in("fish & chips, Q&As; R&D;")
    (['&amp;', '<i>', '</i>'], [])
    """
    every = dict.fromkeys(match[0] for match in MARKUP.finditer(text))
    return [one for one in every if one[0] == "<" or html.unescape(one) != one]


def cleaner(rules: CleanRules | None = None) -> Callable[[str], str]:
    """The function that cleans one text.

    >>> cleaner()("I\u2019m  [noise] \u201cfine\u201d<unk>")
    'I\\'m "fine"'
    """
    chosen = rules or CleanRules()
    before = [(re.compile(r.pattern), r.replace) for r in (CHARACTERS if chosen.defaults else ())]
    after = [(re.compile(r.pattern), r.replace) for r in ((*MARKS, *chosen.rule) if chosen.defaults else chosen.rule)]

    ordinary = not chosen.rule
    decoded = decoded_entities if chosen.defaults else str

    def clean(text: str) -> str:
        if ordinary and not SPECIAL.search(text):
            return text.strip()
        text = decoded(text)
        for pattern, replace in before:
            text = pattern.sub(replace, text)
        if chosen.unicode != "none":
            text = unicodedata.normalize(chosen.unicode, text)
        for pattern, replace in after:
            text = pattern.sub(replace, text)
        return " ".join(text.split())

    return clean


def as_sentence(text: str) -> str:
    """Bare lower- or upper-case `text` as a sentence: first letter and "I" capital, a full stop at the end.

    Text that has both cases, or punctuation at its end, or no Latin letter, is someone's own style and stays as it is.

    >>> as_sentence("i think he's right")
    "I think he's right."
    >>> as_sentence("Bob said so.")
    'Bob said so.'
    """
    text = text.strip()
    bare = text.lower() if text == text.upper() else text
    if not re.search("[a-z]", bare) or bare != bare.lower() or bare[-1:] in ".?!,;:":
        return text
    bare = re.sub(r"\bi\b(?!')", "I", bare)
    bare = re.sub(r"\bi(?='(m|ll|ve|d)\b)", "I", bare)
    return bare[0].upper() + bare[1:] + "."
