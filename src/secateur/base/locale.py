"""What the command line says, in the user's language: a JSON catalogue a language, English where an entry is missing.

`messages/LANGUAGE.json` has "texts" (whole English texts to theirs), "errors" (whole lines with `{0}`, `{1}`, ... for
what varies) and "parts" (pieces of lines, put in wherever they occur). The language is the locale's: LC_ALL,
LC_MESSAGES or LANG, the first that is set.
"""

from __future__ import annotations

import functools
import json
import os
import re
from pathlib import Path

FOLDER = Path(__file__).parent / "messages"
_SLOT = re.compile(r"\\\{(\d)\\\}")


def language() -> str:
    """The language of the locale, such as `zh` for `zh_CN.UTF-8`; `en` when none is set."""
    name = next((os.environ[key] for key in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(key)), "en")
    return re.split(r"[_.@-]", name)[0].lower()


def said(text: str) -> str:
    """A fixed text in the user's language."""
    return _catalogue(language())[0].get(text, text)


def problem_said(line: str) -> str:
    """An error's line in the user's language, as far as the catalogue knows it."""
    _, errors, parts = _catalogue(language())
    for pattern, other in errors:
        found = pattern.fullmatch(line)
        if found:
            line = _filled(other, found)
            break
    for pattern, other in parts:
        line = pattern.sub(lambda match, other=other: _filled(other, match), line)  # type: ignore[misc]
    return line


Rules = list[tuple[re.Pattern[str], str]]


@functools.cache
def _catalogue(name: str) -> tuple[dict[str, str], Rules, Rules]:
    """Texts, rules for whole lines (the longest first, so that the particular comes before the general), for parts."""
    path = FOLDER / f"{name}.json"
    if not path.exists():
        return {}, [], []
    values = json.loads(path.read_text(encoding="utf-8"))
    errors = [(_pattern(line), other) for line, other in sorted(values["errors"].items(), key=lambda p: -len(p[0]))]
    return values["texts"], errors, [(_pattern(part), other) for part, other in values["parts"].items()]


def _pattern(line: str) -> re.Pattern[str]:
    """`{0}` matches anything, as little as possible."""
    return re.compile(_SLOT.sub("(.*?)", re.escape(line)), re.DOTALL)


def _filled(other: str, found: re.Match[str]) -> str:
    return re.sub(r"\{(\d)\}", lambda slot: found[int(slot[1]) + 1], other)
