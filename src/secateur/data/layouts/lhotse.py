"""Lhotse's manifests: cuts, or recordings and supervisions (`.jsonl`, `.jsonl.gz`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ...base.errors import SecateurError
from ..recording import ForeignSet, Recording
from .commands import Piped, file_of
from .jsonl import objects, peek

EDGE = 0.02  # s by which a segment may differ from its whole recording and still be all of it


def kind_of(value: Mapping[str, object]) -> str:
    """Which manifest an object is from: `cuts`, `recordings`, `supervisions`, or "" for another toolkit's."""
    if isinstance(value.get("sources"), list) and "sampling_rate" in value:
        return "recordings"
    if "recording_id" in value and "start" in value and "duration" in value:
        return "supervisions"
    if "start" in value and "duration" in value and ("supervisions" in value or "recording" in value):
        return "cuts"
    return "cuts" if value.get("type") in ("MonoCut", "MultiCut", "MixedCut", "PaddingCut") else ""


def lhotse_files(source: ForeignSet) -> dict[str, list[Path]]:
    """The manifests of a set by their kind."""
    manifests: dict[str, list[Path]] = {}
    for path in source.ending(".jsonl", ".jsonl.gz"):
        kind = kind_of(peek(source, path))
        if kind:
            manifests.setdefault(kind, []).append(path)
    return manifests


def read_lhotse(place: ForeignSet | str | Path) -> Iterator[Recording]:
    """Every supervision as an utterance; cuts, where there are no supervisions beside their recordings.

    Raises:
        SecateurError: no supervisions, or not JSON.
    """
    source = ForeignSet.of(place)
    files = lhotse_files(source)
    if source.root != source.folder:
        kind = kind_of(peek(source, source.root))
        files[kind] = [source.root]
        files = {k: v for k, v in files.items() if k == kind or (kind == "supervisions" and k == "recordings")}
    if files.get("supervisions") and files.get("recordings"):
        known = {str(r["id"]): r for path in files["recordings"] for _, r in objects(source, path) if "id" in r}
        unused = dict.fromkeys(known)
        for path in files["supervisions"]:
            for number, one in objects(source, path):
                recording = known.get(str(one.get("recording_id")))
                unused.pop(str(one.get("recording_id")), None)
                if recording is None:
                    source.leave_out(f"{path}, line {number}", "its recording is in no manifest of recordings")
                else:
                    yield from _utterance(source, recording, one, 0.0, None, f"{path}, line {number}")
        for key in unused:
            source.leave_out(key, "a recording without supervision")
        return
    if not files.get("cuts"):
        raise SecateurError(f"{source.root}: lhotse's supervisions and recordings, or its cuts, are needed")
    for path in files["cuts"]:
        for number, cut in objects(source, path):
            yield from _of_cut(source, cut, f"{path}, line {number}")


def _of_cut(source: ForeignSet, cut: Mapping[str, Any], where: str) -> Iterator[Recording]:
    """The supervisions of a cut."""
    recording = cut.get("recording")
    if not isinstance(recording, dict) or cut.get("type", "MonoCut") not in ("MonoCut", "MultiCut"):
        source.leave_out(where, "a cut without recording of its own", str(cut.get("type", "")))
        return
    supervisions = cut.get("supervisions") or []
    if not supervisions:
        source.leave_out(where, "a cut without supervision")
    for one in supervisions:
        yield from _utterance(source, recording, one, float(cut.get("start") or 0.0), cut, where)


def _utterance(
    source: ForeignSet, recording: Mapping[str, Any], one: Mapping[str, Any], begin: float,
    cut: Mapping[str, Any] | None, where: str,
) -> Iterator[Recording]:  # fmt: skip
    """A supervision, whose start counts from `begin` (s) in its recording."""
    audio = _audio(source, recording, where)
    if audio is None:
        return
    try:
        start, seconds = begin + float(one["start"]), float(one["duration"])
        length = float(recording["duration"])
    except (KeyError, TypeError, ValueError):
        source.leave_out(where, "times that make no sense")
        return
    if cut is not None:  # a supervision may reach beyond its cut, which has the audio to it
        last = min(start + seconds, begin + float(cut.get("duration") or seconds))
        start = max(start, begin)
        seconds = last - start
    if seconds <= 0 or start < 0:
        source.leave_out(where, "times that make no sense", f"from {start:g} s on, {seconds:g} s long")
        return
    complete = start == 0 and abs(seconds - length) <= EDGE
    channels = recording.get("channel_ids") or [0]
    channel = one.get("channel", 0)
    custom = one.get("custom") if isinstance(one.get("custom"), dict) else {}
    extras = {k: v for k, v in {**(custom or {}), "gender": one.get("gender")}.items() if v not in (None, "")}
    text = one.get("text")
    yield Recording(
        str(one.get("id") or where), Path(audio.file), text or "", str(one.get("speaker") or ""),
        language=str(one.get("language") or ""), extras=extras, offset=None if complete else start,
        seconds=None if complete else seconds,
        channel=channel if len(channels) > 1 and isinstance(channel, int) else audio.channel, no_speech=text == "",
    )  # fmt: skip


def _audio(source: ForeignSet, recording: Mapping[str, Any], where: str) -> Piped | None:
    """The only source of a recording."""
    sources = recording.get("sources")
    changed = [str(t.get("name", "")) for t in recording.get("transforms") or [] if isinstance(t, dict)]
    if any(name not in ("Resample", "") for name in changed):
        source.leave_out(where, "a recording that lhotse changes", ", ".join(changed))
        return None
    if not isinstance(sources, list) or len(sources) != 1 or not isinstance(sources[0], dict):
        source.leave_out(where, "a recording of several files, or none")
        return None
    kind, location = str(sources[0].get("type", "file")), str(sources[0].get("source", ""))
    if kind == "command":
        piped = file_of(location)
        if isinstance(piped, str):
            source.leave_out(where, "a command, not a file; commands are never run", piped)
            return None
        return Piped(str(source.locate(piped.file)), piped.channel)
    if kind not in ("file", "url") or not location:
        source.leave_out(where, "a recording that is not a file", kind)
        return None
    return Piped(str(source.locate(location)), None)
