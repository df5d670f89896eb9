"""Manifests of JSON: NeMo's, those of other toolkits, our own; one object a line, or one list of objects."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ...base.errors import SecateurError
from ...base.files import Json
from ..annotations.tools import from_tools
from ..columns import MEANT, plain_name
from ..recording import AUDIO, ForeignSet, Recording, one_at_least
from ..rows import RowsOf, read_rows

ROW_OF_LHOTSE = {"sources", "supervisions", "sampling_rate"}
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
            except SecateurError:
                if number > 1 or "\n" not in text.strip():
                    raise
                yield from _inside(_object(_parsed(text, str(path)), str(path)), str(path))  # one over many lines
                return
            if len(line.strip()) == len(text.strip()):  # the only one
                yield from _inside(value, str(path))
            else:
                yield number, value


def _inside(value: Json, where: str) -> Iterator[tuple[int, Json]]:
    """The rows in a file's only object, which is one itself where nothing else in it is.

    `{"data": [{...}, ...]}`, `{"a.wav": "hello", ...}`, SpeechBrain's `{"a": {"wav": "a.wav", ...}, ...}`, and columns
    as pandas writes them: `{"audio": {"0": "a.wav", ...}, ...}` or `{"audio": ["a.wav", ...], ...}`.
    """
    values = list(value.values())
    lists = [v for v in values if isinstance(v, list) and v and isinstance(v[0], dict)]
    rows: list[Any] = [value]
    if values and all(isinstance(v, str) and Path(k).suffix.lower() in AUDIO for k, v in value.items()):
        rows = [{"audio": name, "text": text} for name, text in value.items()]
    elif values and all(isinstance(v, dict) and names_audio(v) for v in values):
        rows = [{"id": name} | v for name, v in value.items()]
    elif len(lists) == 1 and not value.keys() & ROW_OF_LHOTSE and names_audio(lists[0][0]) and not names_audio(value):
        rows = lists[0]
    elif {"audio", "text"} <= {MEANT.get(plain_name(name)) for name in value} and all(
        isinstance(v, dict | list) and len(v) == len(values[0]) for v in values
    ):
        columns = {k: list(v.values() if isinstance(v, dict) else v) for k, v in value.items()}
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    for number, row in enumerate(rows, 1):
        yield number, _object(row, f"{where}, item {number}")


def names_audio(row: Mapping[str, object]) -> bool:
    """Whether an object names an audio file, in a field of any name."""
    meant = {MEANT.get(plain_name(name)) for name, value in row.items() if isinstance(value, str | dict)}
    return "audio" in meant or any(
        isinstance(value, str) and len(value) < 500 and Path(value.strip()).suffix.lower() in AUDIO
        for value in row.values()
    )


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
