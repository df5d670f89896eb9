"""One error for everything a user can get wrong: one clear line, exit code 2."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SecateurError(Exception):
    """Bad input: the message is one line that says what is wrong and what to do. The CLI exits with 2."""


class SecateurWarning(UserWarning):
    """Something a user should know that does not stop the work."""


def check_known(what: str, name: str, known: Iterable[str]) -> None:
    """Refuse a `name` that is not among the `known` ones.

    Raises:
        SecateurError: with the nearest right name, and all of them.
    """
    names = list(known)
    if name not in names:
        raise SecateurError(f"unknown {what} '{name}'{nearest(name, names)}; known: {', '.join(names)}")


def nearest(name: str, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)` for the nearest known name, or an empty string.

    >>> nearest("learing_rate", ["learning_rate", "seed"])
    " (did you mean 'learning_rate'?)"
    """
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean '{close[0]}'?)" if close else ""
