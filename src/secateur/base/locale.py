"""What secateur shows to people, in their language: a JSON catalogue a language, English where an entry is missing.

`messages/LANGUAGE.json` maps templates, English texts with `{0}`, `{1}`, ... for what varies, to their translations. A
line is filled into the template that has most letters of it; what varies is looked up in turn, since messages hold
messages. `tools/make_catalogue.py` says what is missing and what nobody says any more. The language is the locale's:
LC_ALL, LC_MESSAGES or LANG, the first that is set.
"""

from __future__ import annotations

import functools
import json
import os
import re
import unicodedata
from pathlib import Path

FOLDER = Path(__file__).parent / "messages"
SLOT = re.compile(r"\{(\d+)\}")
_NO_SPACE = re.compile(r"[\u3000-\u303f\uff00-\uffef\u4e00-\u9fff]")  # Chinese is written without spaces between
SPECIFIC = 9  # letters that a template has to have of a line whose rest nobody knows
_DEEPEST = 8  # messages within messages
_NAME = re.compile(r"[\w./~-]*")  # a path or another single word


def language() -> str:
    """The language of the locale, such as `zh` for `zh_CN.UTF-8`; `en` when none is set."""
    name = next((os.environ[key] for key in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(key)), "en")
    return re.split(r"[_.@-]", name)[0].lower()


def shown_language() -> str:
    """The language that texts are shown in: the locale's where there is a catalogue of it, else English."""
    return language() if _catalogue(language()) is not None else "en"


def translated(text: str) -> str:
    """`text` in the user's language, as far as the catalogue knows it and what it is put together from."""
    catalogue = _catalogue(language())
    return text if catalogue is None else catalogue.translated(text)


def columns(text: str) -> int:
    """The display width of a text: two columns for a wide character, such as Chinese.

    >>> columns("ab字")
    4
    """
    return sum(1 + (unicodedata.east_asian_width(c) in "WF") for c in text if not unicodedata.combining(c))


def padded(text: str, width: int, right: bool = False) -> str:
    """A text with spaces up to `width` columns, in front of it where it stands to the `right`."""
    spaces = " " * (width - columns(text))
    return spaces + text if right else text + spaces


class Catalogue:
    """Templates and their translations."""

    def __init__(self, entries: dict[str, str]) -> None:
        self.entries = entries
        self._known: dict[str, str | None] = {}
        rules = [(SLOT.split(key)[::2], other) for key, other in entries.items() if SLOT.search(key)]
        # The particular comes before the general.
        rules.sort(key=lambda rule: -_letters(rule[0]))
        self._rules = [(max(literals, key=len), literals, other) for literals, other in rules]

    def translated(self, text: str, depth: int = 0) -> str:
        """`text`, its spaces around kept where they belong there."""
        core = text.strip()
        if not core or depth > _DEEPEST:
            return text
        other = self._core(core, depth)
        if other is None or other == core:
            return text
        before, after = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
        return f"{'' if _NO_SPACE.match(other) else before}{other}{'' if _NO_SPACE.match(other[-1:]) else after}"

    def _core(self, text: str, depth: int) -> str | None:
        """The translation, looked for once: pieces come again and again where a line holds lines."""
        if text not in self._known:
            self._known[text] = None  # not again within itself
            self._known[text] = self._looked_up(text, depth)
        return self._known[text]

    def _looked_up(self, text: str, depth: int) -> str | None:
        if text in self.entries:
            return self.entries[text]
        if _NAME.fullmatch(text):
            return None
        small = text[:1].lower() + text[1:]  # as a sentence of its own begins with a capital
        for longest, literals, other in self._rules:
            if longest.strip() not in text and longest.strip() not in small:
                continue
            slots = filled(literals, text) or filled(literals, f"{text} ")  # an empty slot at its end
            if slots is None and small != text and literals[0]:
                slots = filled(literals, small)
            if slots is not None:
                shown = [self._slot(literals, i, slot, depth) for i, slot in enumerate(slots)]
                same = (a for a, b in zip(slots, shown, strict=True) if a == b and not _wide(a))
                unknown = any(a.count(" ") > 1 for a in same)
                if unknown and _letters(literals) < SPECIFIC:
                    continue  # of a general template, such as `{0} to {1}`: another sentence
                return SLOT.sub(lambda m, shown=shown: shown[int(m[1])], other)  # type: ignore[misc]
        if small in self.entries:
            return self.entries[small]
        if text.endswith(".") and (sentence := self._core(text[:-1], depth)) is not None:
            return f"{sentence}。" if _wide(sentence[-1:]) or sentence.endswith("）") else f"{sentence}."
        head, bracket, tail = text.rpartition(" (")  # a hint behind a list
        if bracket and head and f"({tail}" != (hint := self.translated(f"({tail}", depth + 1)):
            return self.translated(head, depth + 1) + hint
        for mark, wide in (("; ", "；"), (": ", "："), (", ", "，")):  # lines that were joined
            old = text.split(mark)
            parts = [one if _NAME.fullmatch(one) else self.translated(one, depth + 1) for one in old]
            changed = [part != one for part, one in zip(parts, old, strict=True)]
            if len(parts) > 1 and (all(changed) if mark == ", " else any(changed)):
                return functools.reduce(lambda a, b: a + (wide if _wide(a[-1:] + b[:1]) else mark) + b, parts)
        return None

    def _slot(self, literals: list[str], at: int, slot: str, depth: int) -> str:
        """What a template's `at`-th slot holds; names stay, and so do single words: files, commands, values."""
        quoted = literals[at].endswith("'") and literals[at + 1].startswith("'")
        named = literals[at + 1].startswith((" '", " errors"))  # unknown criterion 'x'
        if quoted or (_NAME.fullmatch(slot) and not named):
            return slot
        return self.translated(slot, depth + 1)


def _letters(literals: list[str]) -> int:
    return sum(c.isalpha() for part in literals for c in part)


def _wide(text: str) -> bool:
    """Whether Chinese is in it."""
    return _NO_SPACE.search(text) is not None


def filled(literals: list[str], text: str) -> list[str] | None:
    """What stands between a template's `literals` in `text`, each slot as short as can be; None: it does not fit.

    >>> filled(["", ": no ", ""], "a.wav: no sound")
    ['a.wav', 'sound']
    """
    if not text.startswith(literals[0]):
        return None
    at, slots = len(literals[0]), []
    for literal in literals[1:-1]:
        place = text.find(literal, at)
        if place < 0:
            return None
        slots.append(text[at:place])
        at = place + len(literal)
    end = len(text) - len(literals[-1])
    if end < at or not text.endswith(literals[-1]):
        return None
    return [*slots, text[at:end]]


@functools.cache
def _catalogue(name: str) -> Catalogue | None:
    path = FOLDER / f"{name}.json"
    return Catalogue(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None
