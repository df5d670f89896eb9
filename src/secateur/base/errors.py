"""One error for everything a user can get wrong: one clear line, exit code 2."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from typing import Any, TypeVar

Many = TypeVar("Many", bound=Iterable[Any])

LONGEST = 1500  # characters of a message


class SecateurError(Exception):
    """Bad input: the message is one line that says what is wrong and what to do. The CLI exits with 2."""

    def __init__(self, message: str = "") -> None:
        super().__init__(one_line(str(message)))


def one_line(text: str) -> str:
    """`text` as a terminal may show it, whatever a file or a client put into it: one line, not endless, no controls.

    >>> one_line("a\\nb \\x1b[2J")
    'a b \\\\x1b[2J'
    """
    if len(text) > LONGEST:
        text = f"{text[: LONGEST - 300]} ... {text[-290:]}"
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " if c in "\r\n\t" else repr(c)[1:-1] for c in text)


UTTERANCES = "read_manifest lists its utterances"


def several(what: str, values: Many, instead: str = "put it into a list") -> Many:
    """`values` as they are, unless they are one text, path, array of samples or other single thing.

    Raises:
        SecateurError: with what to do `instead`.
    """
    samples = getattr(values, "ndim", None) == 1 and getattr(getattr(values, "dtype", None), "kind", "") in "fiu"
    if isinstance(values, str | bytes | os.PathLike) or samples or not hasattr(values, "__iter__"):
        one = "an array" if samples else repr(values)[:80]
        raise SecateurError(f"{what} takes several, and {one} is one: {instead}")
    return values


def check_known(what: str, name: str, known: Iterable[str]) -> None:
    """Refuse a `name` that is not among the `known` ones.

    Raises:
        SecateurError: with the nearest right name, and all of them.
    """
    names = list(known)
    if name not in names:
        raise SecateurError(f"unknown {what} '{name}'{nearest(name, names)}; known: {', '.join(names)}")


def nearest(name: str, known: Iterable[str], prefix: str = "") -> str:
    """` (did you mean 'x'?)` for the nearest known name, or an empty string.

    >>> nearest("learing_rate", ["learning_rate", "seed"])
    " (did you mean 'learning_rate'?)"
    >>> nearest("lr_rate", ["learning_rate"], "training.")
    " (did you mean 'training.learning_rate'?)"
    >>> nearest("SRT", ["txt", "srt"])
    " (did you mean 'srt'?)"
    """
    names = {one.lower(): one for one in known}
    close = [prefix + names[one] for one in difflib.get_close_matches(name.lower(), list(names), n=1, cutoff=0.6)]
    return f" (did you mean '{close[0]}'?)" if close else ""


def either(names: Iterable[str]) -> str:
    """` (did you mean 'a'?)`, or one of several; an empty string without names.

    >>> either(["training.steps"])
    " (did you mean 'training.steps'?)"
    >>> either(["training.seed", "prune.seed"])
    ' (did you mean one of training.seed, prune.seed?)'
    """
    words = list(names)
    if len(words) > 1:
        return f" (did you mean one of {', '.join(words)}?)"
    return f" (did you mean '{words[0]}'?)" if words else ""
