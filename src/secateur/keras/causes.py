"""Errors of Keras and its converters as one line that has the cause."""

from __future__ import annotations

import re


def cause(problem: BaseException | str | None) -> str:
    """What happened, whole but in one line: Keras writes where it happened first and what at the end."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(problem)).strip()
    if not text:
        return type(problem).__name__
    text = text.split("\nArguments received by")[0].split(" Full object config: ")[0]
    first, *rest = [line.strip() for line in text.splitlines() if line.strip()]
    if "Exception encountered: " in text:
        last = text.rpartition("Exception encountered: ")[2]
        first = last
    elif first.startswith(("Exception encountered when calling", "Could not automatically infer")) and rest:
        first = f"{first} {' '.join(rest)}"
    return " ".join(first.split()).rstrip(".:")
