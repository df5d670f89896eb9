"""Transcripts in a table of text: any separator, encoding and names of columns, with a header or without."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from ..base.errors import SecateurError
from ..base.remote import is_file
from .annotations.tools import from_tools, tool_of
from .columns import LOOKED_AT, MEANT, is_prose, plain_name
from .recording import AUDIO, ForeignSet, Recording, composed, one_at_least
from .rows import Row, RowsOf, read_rows
from .times import seconds_of

SEPARATORS = "\t,;|"
_PUNCTUATION = ",;"  # separators that sentences have, too
SEP = re.compile(r"sep=([,;|\t])\n", re.IGNORECASE)
MOST_LINE = 1 << 20  # letters
TABLES = (".csv", ".tsv", ".tab", ".psv")
LISTS = (".txt", ".text", ".lst")  # that may hold a table, too
SIDES = frozenset({"0", "1", "2", "A", "B", "L", "R", "left", "right"})  # what a column of channels holds
GENDERS = frozenset({"", "m", "f", "o", "male", "female", "other"})
SPLITS = {"valid": "dev", "validation": "dev", "val": "dev", "eval": "dev"}


@one_at_least
def read_table(place: ForeignSet | str | Path) -> Iterator[Recording]:
    """The rows of a table with at least the audio and the text in its columns; other columns become extras.

    Columns may have our names or those of other toolkits (path, sentence, client_id, ...); others are recognised by
    what is in them, or named in `ReadSettings.columns`. Audio paths are relative to the table, or to `clips`, `wavs`,
    `wav` or `audio` beside it. A column of durations is ignored, unless `offset` says where a part begins.

    Raises:
        SecateurError: an encoding or columns that are not clear, or not one row that can be used.
    """
    source = ForeignSet.of(place)
    yield from table_rows(source, source.root)


def table_rows(source: ForeignSet, path: Path, split: str = "") -> Iterator[Recording]:
    """The rows of one table of a set; see `read_table`.

    Raises:
        SecateurError: see `read_table`.
    """
    text = source.text(path)
    if any(len(line) >= MOST_LINE for line in text.split("\n")):
        raise SecateurError(f"{path}: a line of more than {MOST_LINE} letters: not a table")
    hint = SEP.match(text)  # what Excel writes into the first line
    if hint is not None:
        text = text[hint.end() :]
    separator = hint[1] if hint else _separator(path, text)
    try:
        names, rows = _parsed(source, path, text, separator)
        about = _about(source, path, names, split)
        if tool_of(dict.fromkeys(names)) is None:
            yield from read_rows(source, rows, names, about)
        else:
            yield from read_rows(source, from_tools(source, rows, str(path)), None, about)
    except csv.Error as problem:
        raise SecateurError(f"{path}: cannot be read as a table ({problem})") from problem


def is_table(source: ForeignSet, path: Path) -> bool:
    """Whether a file that is not called a table holds one: three columns or more, or a header, and sound named in them.

    `a1|hello` and `a1<TAB>hello` are lines with a key; `wavs/a1.wav|ann|hello` and Excel's "Unicode text" are tables. A
    header, also one of unknown words, is a first line without sound above a column that always names it.
    """
    lines = [line for line in source.text(path).split("\n") if line.strip() and not line.startswith("#")][:LOOKED_AT]
    for separator in "\t|;,":
        try:
            rows = list(csv.reader(lines, delimiter=separator, quoting=_quoting(separator)))
        except csv.Error:
            continue
        width = len(rows[0]) if rows else 0
        if width < 2 or any(len(row) != width for row in rows):
            continue
        meant = {MEANT.get(plain_name(cell)) for cell in rows[0]}
        if len(rows) > 1 and {"audio", "text"} <= meant:
            return True
        below = any(all(_is_audio(source, path, row[i]) for row in rows[1:]) for i in range(width)) and len(rows) > 1
        titles = meant & {"audio", "text"} or (width > 2 and (separator in "\t|" or meant != {None}))
        if below and titles and not any(_is_audio(source, path, cell) for cell in rows[0]):
            return True
        if width > 2 and separator in "\t|" and all(any(_is_audio(source, path, c) for c in row) for row in rows):
            return True
    return False


def _about(source: ForeignSet, path: Path, names: Sequence[str], split: str) -> RowsOf:
    """Where the rows' audio is: in a column, or the one recording that the table lies beside."""
    beside = [f for f in source.by_name.get(composed(path.stem), []) if f.parent == path.parent]
    timed = {MEANT.get(plain_name(name)) for name in names}
    alone = len(beside) == 1 and "audio" not in timed and "audio" not in source.settings.columns and "offset" in timed
    return RowsOf(str(path), path.parent, split, beside[0] if alone else None)


def _separator(path: Path, text: str) -> str:
    """What sets the columns apart: what does so alike in most of the first lines."""
    some = text.split("\n")[: 2 * LOOKED_AT]
    lines = [line for line in some if line.strip() and not line.startswith("#")][:LOOKED_AT]
    if path.suffix.lower() == ".tsv" and lines and "\t" in lines[0]:
        return "\t"

    def fit(separator: str) -> tuple[float, int]:
        counts = [len(row) for row in csv.reader(lines, delimiter=separator, quoting=_quoting(separator)) if row]
        usual = max(counts, key=counts.count, default=1)
        return (counts.count(usual) / len(counts) if usual > 1 else 0.0), usual

    try:
        return max(SEPARATORS, key=fit)
    except csv.Error as problem:
        raise SecateurError(f"{path}: cannot be read as a table ({problem})") from problem


def _quoting(separator: str) -> Literal[0, 3]:
    """Common Voice and LJSpeech do not quote: a lone quotation mark would swallow the lines after it."""
    return csv.QUOTE_NONE if separator in "\t|" else csv.QUOTE_MINIMAL


def _parsed(source: ForeignSet, path: Path, text: str, separator: str) -> tuple[list[str], Iterator[Row]]:
    """The names of the columns, and the rows below them."""
    reader = csv.reader(io.StringIO(text), delimiter=separator, quoting=_quoting(separator))
    if _quoting(separator) == csv.QUOTE_MINIMAL and '"' in text:
        _check_quotes(source, path, text, separator)
    numbered = ((reader.line_num, _unquoted(row) if separator in "\t|" else row) for row in reader)
    filled = ((number, row) for number, row in numbered if any(cell.strip() for cell in row))
    first_row = next(filled, (1, []))
    while (
        first_row[1]
        and first_row[1][0].startswith("#")
        and not _is_header([first_row[1][0].lstrip("# "), *first_row[1][1:]])
    ):
        first_row = next(filled, (1, []))
    first = [cell.strip() for cell in first_row[1]]
    if first and first[0].startswith("#"):
        first[0] = first[0].lstrip("# ")
    if not first or _is_header(first) or not any(_is_audio(source, path, cell) for cell in first):
        return first, _rows(source, path, first, filled, separator)
    head = [first_row, *itertools.islice(filled, LOOKED_AT)]
    width = _width([row for _, row in head]) if separator in _PUNCTUATION else None
    names = _names(source, path, [row[:width] for _, row in head])

    def everything() -> Iterator[tuple[int, list[str]]]:
        yield from head
        yield from filled

    return names, _rows(source, path, names, everything(), separator)


def _check_quotes(source: ForeignSet, path: Path, text: str, separator: str) -> None:
    """Refuse a quotation mark that is never closed, or closed by one of a later row: the rows between would be text.

    Raises:
        SecateurError: it names the line.
    """
    lines = text.split("\n")
    reader = csv.reader(io.StringIO(text), delimiter=separator)
    before = width = 0
    for row in reader:
        first, before = before, reader.line_num
        width = width or len(row)
        if before - first < 2:
            continue
        inside = [next(csv.reader([line], delimiter=separator), []) for line in lines[first + 1 : before]]
        swallowed = any(
            any(_is_audio(source, path, cell) for cell in cells)
            or (len(cells) == width > 2 and sum(seconds_of(cell) is not None for cell in cells) > 1)
            for cells in inside
        )
        if swallowed or (before >= len(lines) - 1 and "".join(lines[first:before]).count('"') % 2):
            raise SecateurError(
                f"{path}, line {first + 1}: a quotation mark that is not closed in its row: the text would hold the "
                'rows below it; close it, or write it twice ("")'
            )


def _is_header(cells: Sequence[str]) -> bool:
    return sum(MEANT.get(plain_name(cell)) in ("audio", "text") for cell in cells) > 0


def _width(rows: Sequence[Sequence[str]]) -> int | None:
    """The columns of a table without header, None where all are: what follows a comma and a space is text.

    >>> _width([["a.wav", "hello", " you"], ["b.wav", "no"]]), _width([["a.wav", " hello"]]), _width([["a", "b"]])
    (2, None, None)
    """
    width = max((i + 1 for row in rows for i, cell in enumerate(row) if cell[:1] != " "), default=0)
    return width if width > 1 and any(len(row) > width for row in rows) else None


def _rows(
    source: ForeignSet, path: Path, names: list[str], rows: Iterator[tuple[int, list[str]]], separator: str
) -> Iterator[Row]:
    ends_in_text = (
        separator in _PUNCTUATION
        and bool(names)
        and (MEANT.get(plain_name(names[-1])) == "text" or source.settings.columns.get("text") == names[-1])
    )
    last = len(names) - 1
    joined = 0
    for number, row in rows:
        if ends_in_text and len(row) > len(names) and all(cell[:1] == " " for cell in row[len(names) :]):
            row = [*row[:last], separator.join(row[last:])]
            joined += 1
        if len(row) > len(names) and not any(cell.strip() for cell in row[len(names) :]):
            row = row[: len(names)]
        if len(row) != len(names):
            if not row[0].startswith("#"):
                source.leave_out(f"{path}, line {number}", f"{len(row)} columns, the header has {len(names)}")
            continue
        yield number, dict(zip(names, row, strict=True))
    if joined:
        source.note(f"{path}: '{separator} ' in {joined} texts without quotation marks is taken for their punctuation")


def _unquoted(row: list[str]) -> list[str]:
    """A row without what its writer had to quote, or quoted everywhere; a sentence in quotation marks stays as it is.

    >>> _unquoted(['"a.wav"', '"hello"']), _unquoted(['a.wav', '"hello"']), _unquoted(['a.wav', '"say ""hi"" now"'])
    (['a.wav', 'hello'], ['a.wav', '"hello"'], ['a.wav', 'say "hi" now'])
    """
    inner = [cell[1:-1] if len(cell) > 1 and cell[0] == cell[-1] == '"' else None for cell in row]
    every = len(row) > 1 and None not in inner
    if every or any(cell is not None and Path(cell).suffix.lower() in AUDIO for cell in inner):
        return [cell if bare is None else bare.replace('""', '"') for cell, bare in zip(row, inner, strict=True)]
    return [_needed(cell) for cell in row]


def _needed(cell: str) -> str:
    inner = cell[1:-1]
    if len(cell) > 1 and cell[0] == cell[-1] == '"' and '""' in inner and '"' not in inner.replace('""', ""):
        return inner.replace('""', '"')
    return cell


def _is_audio(source: ForeignSet, path: Path, cell: str) -> bool:
    if not cell.strip() or len(cell) > 500:
        return False
    return Path(cell.strip()).suffix.lower() in AUDIO or (
        " " not in cell.strip() and _is_audio_file(source, path, cell)
    )


def _is_audio_file(source: ForeignSet, path: Path, cell: str) -> bool:
    located = source.locate(cell, path.parent)
    return located.suffix.lower() in AUDIO and is_file(located)


def _parts_in(columns: Sequence[Sequence[str]]) -> dict[int, str]:
    """Which columns without names say where parts of recordings begin and end, and on which channel."""
    names: dict[int, str] = {}
    for i, (first, last) in enumerate(itertools.pairwise(columns)):
        times = [(seconds_of(a), seconds_of(b)) for a, b in zip(first, last, strict=True)]
        if len(times) > 1 and all(a is not None and b is not None and a < b for a, b in times) and len(set(times)) > 1:
            names = {i: "offset", i + 1: "end"}
    for i, column in enumerate(columns):
        if i not in names and len(set(column)) > 1 and set(column) <= SIDES:
            names[i] = "channel"
    return names


def _names(source: ForeignSet, path: Path, rows: Sequence[Sequence[str]]) -> list[str]:
    """Names for the columns of a table without header, by what is in them."""
    width = max(map(len, rows))
    columns = [[row[i].strip() if i < len(row) else "" for row in rows] for i in range(width)]
    names = [f"column{i + 1}" for i in range(width)]
    if source.settings.columns:
        return names
    audio = next(i for i, column in enumerate(columns) if any(_is_audio(source, path, cell) for cell in column[:5]))
    names[audio] = "audio"
    others = [i for i in range(width) if i != audio]
    prose = [i for i in others if is_prose(columns[i])]
    text = prose[-1] if prose else others[0] if len(others) == 1 else None  # LJSpeech: as written, then as spoken
    if text is not None:
        names[text] = "text"
        spare = [i for i in others if i != text and i not in prose]
        if len(set(columns[audio])) < len(columns[audio]):  # parts of recordings
            for i, name in _parts_in([columns[i] for i in spare]).items():
                names[spare[i]] = name
            spare = [i for i in spare if names[i].startswith("column")]
        few = [i for i in spare if len(columns[i]) > 3 and 0 < len(set(columns[i])) <= len(columns[i]) / 2]
        if len(few) == 1:
            names[few[0]] = "gender" if {v.lower() for v in columns[few[0]]} <= GENDERS else "speaker"
    meanings = ", ".join(f"{name} in column {i + 1}" for i, name in enumerate(names) if not name.startswith("column"))
    source.note(f"{path}: no header; taken for {meanings}")
    return names
