"""One text file for all recordings: each line the name of a recording, and its transcript."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ...base.remote import is_file
from ..recording import AUDIO, ForeignSet, Recording
from .nearby import PLAIN

LOOKED_AT = 50  # lines
TRANSCRIPT_NAME = re.compile(
    r"trans|text|prompt|sentence|script|ort", re.IGNORECASE
)  # others list segments, speakers, ...
SPLIT = re.compile(r"\s*[\t|]\s*|\s*:\s+|,\s*|\s+")


def read_keyed(place: ForeignSet | str | Path) -> Iterator[Recording]:
    """Lines such as `a1.wav hello there`, `a1<TAB>hello`, `a1|hello` or `(a1 "hello")`; endings may be left out.

    Raises:
        SecateurError: a file that cannot be read.
    """
    source = ForeignSet.of(place)
    whole = source.root == source.folder
    paths = [path for path in source.ending(*PLAIN) if is_keyed(source, path)] if whole else [source.root]
    named = [path for path in paths if TRANSCRIPT_NAME.search(path.stem)]
    for path in named or paths:
        for number, line in source.lines(path, comments="#"):
            key, text = _parts(line)
            audio = source.locate(key, path.parent)
            if not is_file(audio):
                source.leave_out(f"{path}, line {number}", "no such audio file", key[:80])
                continue
            name = key[: -len(audio.suffix)] if key.endswith(audio.suffix) else key
            yield Recording(name, audio, text, no_speech=not text)


def is_keyed(source: ForeignSet, path: Path) -> bool:
    """Whether most lines of a file begin with the name of a recording."""
    lines = [line for _, line in source.lines(path, comments="#")][:LOOKED_AT]
    named = [audio for audio in (source.locate(_parts(line)[0], path.parent) for line in lines) if is_file(audio)]
    return len(named) >= max(1, 0.8 * len(lines)) and all(f.suffix.lower() in AUDIO for f in named)


def _parts(line: str) -> tuple[str, str]:
    """The name and the text of a line."""
    lisp = re.fullmatch(r'\(\s*(\S+)\s+"(.*)"\s*\)', line)  # festvox
    if lisp:
        return lisp[1], lisp[2]
    ended = re.match(r"(.+?\.(?:wav|flac|mp3|ogg|opus|m4a|sph))\s*[\t|:, ]\s*(.*)$", line, re.IGNORECASE)
    if ended:  # names with spaces
        return ended[1], ended[2].strip()
    key, *rest = SPLIT.split(line, maxsplit=1)
    return key, rest[0].strip() if rest else ""
