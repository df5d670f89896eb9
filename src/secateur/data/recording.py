"""A recording before it is opened, and the plain text files that describe sets of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..base.errors import SecateurError
from ..base.files import read_limited

AUDIO = frozenset({".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".au", ".sph", ".caf", ".w64"})


@dataclass(frozen=True)
class Recording:
    """An audio file and what is known of it before it is opened."""

    id: str
    audio: Path
    text: str = ""
    speaker: str = ""
    split: str = ""
    language: str = ""
    extras: dict[str, Any] = field(default_factory=dict)


def text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbers and contents of the lines of a UTF-8 file that are not blank.

    Raises:
        SecateurError: it cannot be read.
    """
    try:
        content = read_limited(path).decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as problem:
        raise SecateurError(f"{path}: cannot be read as UTF-8 text ({problem})") from problem
    for number, line in enumerate(content.split("\n"), 1):
        if line.strip():
            yield number, line.strip()


def keyed_lines(path: Path) -> Iterator[tuple[int, str, str]]:
    """Number, first word and rest of every line of `path`."""
    for number, line in text_lines(path):
        key, *rest = line.split(maxsplit=1)
        yield number, key, rest[0] if rest else ""
