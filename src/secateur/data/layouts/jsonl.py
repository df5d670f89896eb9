"""Manifests of JSON: NeMo's, those of other toolkits, our own; one object a line, or one list of objects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...base.errors import SecateurError
from ...base.files import Json
from ..annotations.tools import from_tools
from ..recording import AUDIO, ForeignSet, Recording, one_at_least
from ..rows import RowsOf, read_rows

MANIFESTS = (".jsonl", ".json", ".jsonl.gz", ".ndjson", ".manifest", ".list")  # .list: WeNet


@one_at_least
def read_json_manifest(place: ForeignSet | str | Path) -> Iterator[Recording]:
    """The objects of a manifest with at least the audio and the text; other fields become extras.

    `offset` and `duration` select a part. A duration alone is a part, too, when the recording is longer (NeMo).

    Raises:
        SecateurError: not JSON, fields that are not clear, or nothing that can be used.
    """
    source = ForeignSet.of(place)
    yield from manifest_rows(source, source.root)


def manifest_rows(source: ForeignSet, path: Path, split: str = "") -> Iterator[Recording]:
    """The objects of one manifest of a set."""
    rows = from_tools(source, objects(source, path), str(path))
    yield from read_rows(source, rows, None, RowsOf(str(path), path.parent, split, durations=True))


def objects(source: ForeignSet, path: Path) -> Iterator[tuple[int, Json]]:
    """The objects of a file, with their lines (in a list, their numbers).

    Raises:
        SecateurError: not JSON, or something else than objects.
    """
    text = source.text(path)
    if text.lstrip()[:1] == "[":
        values = _parsed(text, str(path))
        for number, value in enumerate(values if isinstance(values, list) else [], 1):
            yield number, _object(value, f"{path}, item {number}")
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            where = f"{path}, line {number}"
            try:
                value = _object(_parsed(line, where), where)
                yield from _by_name(value) or [(number, value)]
            except SecateurError:
                if number > 1 or "\n" not in text.strip():
                    raise
                yield from _single(text, path)  # one object over many lines
                return


def _single(text: str, path: Path) -> Iterator[tuple[int, Json]]:
    """`{"data": [{...}, ...]}`: the list of objects inside of one object; or `{"a.wav": "hello", ...}`."""
    value = _object(_parsed(text, str(path)), str(path))
    by_name = _by_name(value)
    if by_name:
        yield from by_name
        return
    lists = [v for v in value.values() if isinstance(v, list) and v and isinstance(v[0], dict)]
    if len(lists) != 1:
        raise SecateurError(f"{path}: expected one JSON object a line, or a list of objects")
    for number, one in enumerate(lists[0], 1):
        yield number, _object(one, f"{path}, item {number}")


def _by_name(value: Json) -> list[tuple[int, Json]]:
    """`{"a.wav": "hello", ...}` as rows; none where the object is something else."""
    if not value or not all(isinstance(v, str) and Path(k).suffix.lower() in AUDIO for k, v in value.items()):
        return []
    return [(number, {"audio": name, "text": text}) for number, (name, text) in enumerate(value.items(), 1)]


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise SecateurError(f"{where}: not valid JSON (nested too deep)") from None
    except ValueError as problem:
        raise SecateurError(f"{where}: not valid JSON ({str(problem)[:80]})") from problem


def _object(value: object, where: str) -> Json:
    if not isinstance(value, dict):
        raise SecateurError(f"{where}: expected a JSON object")
    return value


def peek(source: ForeignSet, path: Path) -> Json:
    """The first object of a file that may be a manifest, an annotation tool's task as a row; {} when it is none."""
    try:
        first = next(objects(source, path), None)
        trial = ForeignSet(source.root, source.settings)
        return {} if first is None else dict(next(from_tools(trial, [first], str(path)), first)[1])
    except SecateurError:
        return {}
