"""Rows of tables, of JSON lines and of parquet files become recordings, whatever their columns are called."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..audio.read import audio_info
from ..base.errors import SecateurError
from ..base.files import Json
from ..base.remote import url_of
from .columns import LOOKED_AT, Columns, choose_columns
from .fields import FIELDS
from .recording import ForeignSet, Recording
from .times import ChannelNames, seconds_of

Row = tuple[int, Mapping[str, Any]]  # its line, or its number


@dataclass(frozen=True)
class RowsOf:
    """Where rows come from."""

    where: str  # as messages call it
    base: Path  # that audio paths are relative to
    split: str = ""
    audio: Path | None = None  # of all rows, when no column has it
    durations: bool = False  # whether a duration beside NeMo's `audio_filepath` means the first seconds of a recording
    write_media: Callable[[Any, str], Path | None] | None = None  # writes audio that is inside of the table


def read_rows(source: ForeignSet, rows: Iterable[Row], names: list[str] | None, of: RowsOf) -> Iterator[Recording]:
    """Each row as a recording; what cannot be one is left out in `source`.

    Raises:
        SecateurError: columns that are not clear, see `choose_columns`.
    """
    rest = iter(rows)
    first = list(itertools.islice(rest, LOOKED_AT))
    if names is None and not first:
        return
    names = names if names is not None else list(dict.fromkeys(key for _, row in first for key in row))
    columns = choose_columns(names, [row for _, row in first], source, of.where, of.audio is not None)
    listed = _listed(source, itertools.chain(first, rest), columns, of)
    if "channel" not in columns.of:
        yield from (recording for recording, _, _ in listed)
        return
    ours = of.durations and all(columns.of.get(name) == name for name in ("id", "audio", "duration"))
    yield from _with_channels(source, list(listed), of, 1 if ours else None)


Named = tuple[Recording, str, str]  # a recording, the name of its channel, and where it is listed


def _listed(source: ForeignSet, rows: Iterable[Row], columns: Columns, of: RowsOf) -> Iterator[Named]:
    """What each row lists, its channel still a name."""
    for number, row in rows:
        where = f"{of.where}, line {number}"
        audio = of.audio or _audio(source, row.get(columns.of.get("audio", "")), of, where)
        if audio is None:
            continue
        start, seconds, problem = _times(row, columns, of)
        if problem:
            source.leave_out(where, "times that make no sense", problem)
            continue
        value = {name: as_text(row.get(column)) for name, column in columns.of.items()}
        recording = Recording(
            value.get("id") or _id(source, audio, start, number if of.audio else None), audio, value["text"],
            value.get("speaker", ""), value.get("split") or of.split, value.get("language", ""),
            _extras(row, columns), start, seconds, None, row.get(columns.of["text"]) == "",
        )  # fmt: skip
        yield recording, value.get("channel", ""), where


def _with_channels(source: ForeignSet, listed: list[Named], of: RowsOf, first: int | None) -> Iterator[Recording]:
    """The recordings with their channels, which the names of all rows together say; see `ChannelNames`."""
    names = ChannelNames((name for _, name, _ in listed), first)
    if names.counted_from == 1:
        source.note(f"{of.where}: channels count from 1, the left one")
    unknown_of: dict[Path, set[str]] = defaultdict(set)
    for recording, name, _ in listed:
        if names.unknown(name):
            unknown_of[recording.audio].add(name)
    channels_of: dict[Path, int] = {}
    for recording, name, where in listed:
        sides = len(unknown_of[recording.audio]) > 1  # else it may be where a recording comes from
        if names.ambiguous(name) or (names.unknown(name) and sides):
            audio = recording.audio
            if audio not in channels_of:
                channels_of[audio] = _channels_in(audio)
            if channels_of[audio] > 1:
                reason = "no name of a channel" if names.unknown(name) else "either the left or the right channel"
                source.leave_out(where, reason, f"'{name[:40]}': write left or right")
                continue
        elif names.unknown(name):
            source.note(f"{of.where}: '{name[:40]}' is no channel, all of them are mixed: write left or right for one")
            yield replace(recording, extras=recording.extras | {"extra_channel": name})
            continue
        yield replace(recording, channel=names.index(name))


def _channels_in(audio: Path) -> int:
    try:
        return audio_info(audio).channels
    except SecateurError:  # it is left out later, with the reason
        return 1


def _audio(source: ForeignSet, value: object, of: RowsOf, where: str) -> Path | None:
    """The audio file of a row."""
    if isinstance(value, bytes | bytearray):
        value = {"bytes": bytes(value)}
    if isinstance(value, Mapping) and (of.write_media is not None or isinstance(value.get("path"), str)):
        inside = value.get("bytes") is not None or value.get("array") is not None
        if inside and of.write_media is not None:
            path = of.write_media(value, where)
            if path is None:
                source.leave_out(where, "audio of an unknown kind inside of the table")
            return path
        value = value.get("path")
    name = value.strip() if isinstance(value, str) else ""
    if not (url_of(name) or Path(name).name):
        source.leave_out(where, "no name of an audio file")
        return None
    return source.locate(name, of.base)


def _id(source: ForeignSet, audio: Path, start: float | None, number: int | None) -> str:
    """What a row without id is called: its file, and of a part where it begins."""
    inside = Path(source.inside(audio))
    inside = Path(audio.name) if inside.is_absolute() or url_of(inside) or ".." in inside.parts else inside
    name = inside.with_suffix("").as_posix()
    name = name.split("/", 1)[1] if name.split("/")[0] in ("clips", "wavs", "wav", "audio") and "/" in name else name
    if start is None:
        return name if number is None else f"{name}-{number:04}"
    return f"{name}-{round(1000 * start):08}"


def _times(row: Mapping[str, object], columns: Columns, of: RowsOf) -> tuple[float | None, float | None, str]:
    """Where a part begins and how long it is, and what is wrong with it."""
    seconds_by_name: dict[str, float | None] = {}
    for name in ("offset", "end", "duration"):
        raw = row.get(columns.of.get(name, ""))
        value = seconds_of(raw)
        if value is None and name != "duration" and str(raw if raw is not None else "").strip():
            return None, None, f"{name} '{str(raw)[:40]}'"
        seconds_by_name[name] = value / 1000 if value is not None and name in columns.milliseconds else value
    start, end, duration = seconds_by_name["offset"], seconds_by_name["end"], seconds_by_name["duration"]
    if start is None and end is None:
        first_seconds = of.durations and columns.of.get("audio") == "audio_filepath"
        return None, duration if first_seconds and duration else None, ""
    start = start or 0.0
    seconds = end - start if end is not None else duration
    if start < 0 or (seconds is not None and seconds <= 0):
        return None, None, f"from {start:g} s on, {0 if seconds is None else seconds:g} s long"
    return start, seconds, ""


def as_text(value: object) -> str:
    """A cell as text: whole numbers without point, lists of words joined.

    >>> as_text(12.0), as_text(["a", "b"]), as_text(None)
    ('12', 'a b', '')
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, list | tuple):
        return " ".join(as_text(v) for v in value)
    return str(value).strip()


def _extras(row: Mapping[str, object], columns: Columns) -> Json:
    extras = {}
    for name in (*columns.others, *(columns.of[field] for field in ("split",) if field in columns.of)):
        value = row.get(name)
        if value is None or isinstance(value, bytes | bytearray) or (isinstance(value, str) and not value.strip()):
            continue
        if isinstance(value, float) and not math.isfinite(value):
            continue
        plain = isinstance(value, str | bool | int | float | list | dict)
        label = name.strip() or "unnamed"
        extras[f"extra_{label}" if label in FIELDS else label] = (
            value.strip() if isinstance(value, str) else value if plain else str(value)
        )
    return extras
