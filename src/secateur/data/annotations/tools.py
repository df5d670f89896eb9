"""Exports of annotation tools (Label Studio, Prodigy, doccano): each task as the plain rows that tables have."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ...base.files import Json
from ..columns import MEANT, plain_name
from ..recording import AUDIO, ForeignSet
from ..rows import Row

UPLOADED = re.compile(r"[0-9a-f]{8}-(?=.)")  # what Label Studio puts before the name of an uploaded file
STORED = re.compile(r"(?:^|/)data/upload/(?:.*/)?([^/]+)$")
NUMBERS = (int, float)


def from_tools(source: ForeignSet, rows: Iterable[Row], where: str) -> Iterator[Row]:
    """`rows` with every task of an annotation tool as plain rows, one a transcript; other rows stay as they are."""
    for number, row in rows:
        tool = tool_of(row)
        if tool is None:
            yield number, row
        else:
            yield from ((number, one) for one in tool(source, f"{where}, item {number}", row))


def tool_of(row: Mapping[str, object]) -> Callable[[ForeignSet, str, Mapping[str, Any]], Iterator[Json]] | None:
    """What reads a row that an annotation tool wrote; None for any other row."""
    if isinstance(row.get("data"), Mapping) and isinstance(row.get("annotations", row.get("completions")), list):
        return _label_studio
    if row.keys() >= {"annotation_id", "annotator"}:
        return _label_studio_short
    if row.keys() & {"_task_hash", "_input_hash"} or row.get("answer") in ("accept", "reject", "ignore"):
        return _prodigy
    if row.keys() >= {"filename", "label"} and isinstance(row["label"], list):
        return _doccano
    return None


def _label_studio(source: ForeignSet, where: str, task: Mapping[str, Any]) -> Iterator[Json]:
    """A task of Label Studio's JSON: its regions that have a transcript, or the transcript of all of it.

    https://labelstud.io/guide/task_format. Controls keep the names that the project gives them; `transcription` is the
    usual one, others are named by `--columns text=NAME`.
    """
    annotated = task.get("annotations", task.get("completions"))
    done = [one for one in annotated or () if isinstance(one, Mapping) and not one.get("was_cancelled")]
    if not done:
        source.leave_out(where, "not annotated in Label Studio")
        return
    if len(done) > 1:
        source.note("tasks with several annotations: the one marked as ground truth counts, or else the last")
    chosen = next((one for one in done if one.get("ground_truth")), done[-1])
    audio = _audio_field(task["data"])
    if audio is None:
        source.leave_out(where, "no recording in this task", ", ".join(map(str, task["data"])))
        return
    common = {k: v for k, v in task["data"].items() if MEANT.get(plain_name(k)) in (None, "speaker", "language")}
    common = {k: v for k, v in common.items() if k != audio} | {"task": task.get("id")}
    row = common | {"audio": stored_name(source, str(task["data"][audio]))}
    whole: Json = {}
    regions: dict[str, Json] = {}
    spoken: set[str] = set()  # regions with a transcript
    results = chosen.get("result")
    for one in results if isinstance(results, list) else ():
        value = one.get("value") if isinstance(one, Mapping) else None
        if not isinstance(value, Mapping):
            continue
        kind = str(one.get("type"))
        written = value.get("text" if kind == "textarea" else kind)
        if written is None:
            continue
        fields = whole
        if isinstance(value.get("start"), NUMBERS) and isinstance(value.get("end"), NUMBERS):
            key = str(one.get("id") or (value["start"], value["end"]))
            fields = regions.setdefault(key, {name: value.get(name) for name in ("start", "end", "channel")})
            spoken |= {key} if kind == "textarea" else set()
        fields[str(one.get("from_name") or kind)] = written
    if not spoken:
        yield row | whole
        return
    one_channel = not any(region["channel"] for region in regions.values())  # it writes 0 where none was chosen
    for key, region in sorted(regions.items(), key=lambda item: item[1]["start"]):
        if key in spoken:
            side = None if one_channel else chr(ord("A") + int(region["channel"] or 0))  # a letter: it counts from 0
            yield row | whole | region | {"channel": side}
        else:
            source.leave_out(where, "a region without transcript", f"from {region['start']:g} to {region['end']:g} s")


def _label_studio_short(source: ForeignSet, where: str, task: Mapping[str, object]) -> Iterator[Json]:
    """A row of Label Studio's JSON-MIN or CSV: regions and their transcripts are lists beside each other."""
    row = {name: _unpacked(value) for name, value in task.items() if name != "id"} | {"task": task.get("id")}
    audio = _audio_field(row)
    if audio is not None:
        row["audio"] = stored_name(source, str(row.pop(audio)))
    timed = [name for name, value in row.items() if _are_regions(value)]
    if not timed:
        yield row
        return
    regions = row.pop(timed[0])
    texts = {name: [v] if isinstance(v, str) else v for name, v in row.items() if MEANT.get(plain_name(name)) == "text"}
    texts = {name: v for name, v in texts.items() if isinstance(v, list) and all(isinstance(one, str) for one in v)}
    if not texts or any(len(v) != len(regions) for v in texts.values()):
        source.leave_out(
            where,
            "regions and transcripts do not match",
            "export it as JSON, which keeps them together",
        )
        return
    for i, region in enumerate(regions):
        own = {name: v[i] for name, v in texts.items()}
        yield row | own | {"start": region["start"], "end": region["end"], timed[0]: region.get("labels")}


def _prodigy(source: ForeignSet, where: str, task: Mapping[str, Any]) -> Iterator[Json]:
    """A line of Prodigy's `audio.transcribe`, whose `text` is the file's name: https://prodi.gy/docs/audio-video."""
    if task.get("answer", "accept") != "accept":
        source.leave_out(where, f"answered '{task['answer']}' in Prodigy")
        return
    field = str(task.get("field_id") or "transcript")
    if not isinstance(task.get(field), str):
        source.leave_out(where, "not transcribed in Prodigy", f"there is no '{field}'")
        return
    audio = next((v for v in map(task.get, ("audio", "video")) if isinstance(v, str) and v[:5] != "data:"), None)
    own = ("text", "audio", "video", "path", "transcript", "orig_transcript", "answer", "meta", "audio_spans", field)
    extras = {k: v for k, v in task.items() if k not in own and not k.startswith(("_", "field_"))}
    meta = task.get("meta") if isinstance(task.get("meta"), Mapping) else {}
    yield {**(meta or {}), **extras, "audio": audio or task.get("path") or "", "text": task[field]}


def _doccano(source: ForeignSet, where: str, task: Mapping[str, Any]) -> Iterator[Json]:
    """A line of doccano's speech to text; its labels are what each annotator wrote."""
    texts = [one for one in task["label"] if isinstance(one, str)]
    if len(set(texts)) != 1:
        what = "several different transcripts" if texts else "not annotated in doccano"
        source.leave_out(where, what, " | ".join(texts)[:80])
        return
    extras = {k: v for k, v in task.items() if k not in ("id", "filename", "label", "Comments", "comments")}
    yield extras | {"audio": task["filename"], "text": texts[0]}


def _audio_field(data: Mapping[str, object]) -> str | None:
    """The field that names the recording."""
    named = [k for k, v in data.items() if isinstance(v, str) and Path(_path(v)).suffix.lower() in AUDIO]
    meant = [k for k, v in data.items() if isinstance(v, str) and MEANT.get(plain_name(k)) == "audio"]
    return next((k for k in named if k in meant), next(iter(named or meant), None))


def _path(name: str) -> str:
    """The path in the name of a stored file: `/data/local-files/?d=talks%2Fa.wav` is `talks/a.wav`."""
    if "?d=" in name:
        return unquote(name.split("?d=", 1)[1].split("&")[0])
    return unquote(urlsplit(name).path) if "://" in name else name


def stored_name(source: ForeignSet, name: str) -> str:
    """A file of Label Studio's storage by the name that it has in the set: uploads got eight digits before theirs."""
    path = _path(name)
    upload = STORED.search(path)
    if upload is None:
        return path if "/local-files/" in name else name
    stored = upload[1]
    bare = UPLOADED.sub("", stored, count=1)
    known = {f.name.replace(" ", "_"): f.name for f in source.audio}
    return next((known.get(one, one) for one in (stored, bare) if one in known or one in source.by_name), stored)


def _unpacked(value: object) -> Any:
    """A cell of a CSV that holds a list as JSON."""
    if isinstance(value, str) and value[:1] == "[" and value[-1:] == "]":
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _are_regions(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(
        isinstance(v, Mapping) and isinstance(v.get("start"), NUMBERS) and isinstance(v.get("end"), NUMBERS)
        for v in value
    )  # fmt: skip
