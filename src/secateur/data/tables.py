"""Transcripts in a CSV or TSV table with a header, such as Mozilla Common Voice's."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from ..base.errors import SecateurError
from ..base.files import at_home
from .fields import FIELDS, OTHER_NAMES
from .recording import Recording

MEANT = OTHER_NAMES | {name: name for name in (*FIELDS, "split")}
MOST_LINE = 1 << 20  # letters
CLIPS = ("", "clips", "wavs", "wav", "audio")  # folders beside the table that audio is looked for in


def read_table(path: Path) -> Iterator[Recording]:
    """The rows of a table whose header names at least the audio and the text; other columns become extras.

    Columns may have our names or those of other toolkits (path, sentence, client_id, ...). Audio paths are relative to
    the table, or to `clips`, `wavs`, `wav` or `audio` beside it. A column of durations is ignored: files are measured.

    Raises:
        SecateurError: not UTF-8, no such columns, or a row that is too long or too short.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            yield from _rows(path, lines)
    except FileNotFoundError:
        raise SecateurError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise SecateurError(f"{path}: cannot be read as a table in UTF-8 ({problem})") from problem


def _rows(path: Path, lines: Iterator[str]) -> Iterator[Recording]:
    lines = _bounded(path, lines)
    header = next(lines, "")
    delimiter = "\t" if path.suffix.lower() == ".tsv" else max(",;\t|", key=header.count)
    # Common Voice does not quote; a lone quotation mark would swallow the lines after it.
    quoting: Literal[0, 3] = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
    names = next(csv.reader([header], delimiter=delimiter, quoting=quoting), [])
    columns: dict[str, int] = {}
    for number, name in enumerate(names):
        meant = MEANT.get(name.strip().lower())
        if meant is not None:
            columns.setdefault(meant, number)
    for needed in ("audio", "text"):
        if needed not in columns:
            raise SecateurError(f"{path}: no column '{needed}' in the header ({', '.join(names)[:80]})")
    others = [(number, name.strip()) for number, name in enumerate(names) if name.strip().lower() not in MEANT]
    reader = csv.reader(lines, delimiter=delimiter, quoting=quoting)
    for row in reader:
        if not row:
            continue
        if len(row) != len(names):
            raise SecateurError(f"{path}, line {reader.line_num + 1}: {len(row)} columns, the header has {len(names)}")
        value = {name: row[number].strip() for name, number in columns.items()}
        audio = value["audio"]
        if not Path(audio).name:
            raise SecateurError(f"{path}, line {reader.line_num + 1}: no name of an audio file")
        extras = {name: row[number].strip() for number, name in others if row[number].strip()}
        yield Recording(
            value.get("id") or Path(audio).with_suffix("").as_posix(), _found(path.parent, audio), value["text"],
            value.get("speaker", ""), value.get("split", ""), value.get("language", ""), extras,
        )  # fmt: skip


def _bounded(path: Path, lines: Iterator[str]) -> Iterator[str]:
    """Lines that are not endless: the whole file may have no end of line, or no end."""
    while line := lines.readline(MOST_LINE):  # type: ignore[attr-defined]
        if len(line) == MOST_LINE:
            raise SecateurError(f"{path}: a line of more than {MOST_LINE} letters: not a table")
        yield line


def _found(folder: Path, audio: str) -> Path:
    """The audio file in one of the usual places; the first place when it is in none."""
    places = [folder / inside / at_home(audio) for inside in CLIPS]
    return next((place for place in places if place.is_file()), places[0])
