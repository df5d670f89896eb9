"""Which layers a pattern such as "conv*" or "encoder/dense" means."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable


def any_matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns is of this name."""
    return any(matches(name, pattern) for pattern in patterns)


def matches(name: str, pattern: str) -> bool:
    """A pattern is of the whole path, of a model in it, or of the last name."""
    parts = name.split("/")
    paths = ["/".join(parts[: n + 1]) for n in range(len(parts))]
    return any(fnmatch.fnmatchcase(one, pattern) for one in (*paths, parts[-1]))
