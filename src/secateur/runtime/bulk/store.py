"""Finished pieces, one file each, written atomically; at the end they become the manifest or files asked for."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ...base.errors import SecateurError
from ...base.files import Json, atomic_path, cache_dir, read_json, write_json, write_text
from ...base.options import from_dict
from ...base.remote import absolute, url_of
from ...data.manifest import Utterance, from_values, manifest_writer, to_line
from ...decode.segments import Transcript
from ..subtitles import WRITERS, SubtitleSettings
from .clips import Piece, name_of_file
from .worker import Rows

ROOT = Path("/")
DETAILS = ("segments",)  # of a transcript, kept in a manifest only when asked for


class Store:
    """The folder `OUT.pieces` of a run that is not finished; of an output behind a URL, a folder in the cache."""

    def __init__(self, out: Path, settings: Json) -> None:
        """Open it, or begin.

        Raises:
            SecateurError: it holds a run with other settings or inputs.
        """
        url = url_of(out)
        folder = out if url is None else cache_dir() / "pieces" / hashlib.sha256(url.encode()).hexdigest()[:16]
        self.folder = folder.with_name(folder.name + ".pieces")
        settings_file = self.folder / "settings.json"
        now = json.loads(json.dumps(settings))
        if not settings_file.exists():
            write_json(settings_file, now)
        elif (old := read_json(settings_file)) != now:
            odd = next((key for key in now if old.get(key) != now[key]), "settings")
            raise SecateurError(
                f"{self.folder}: an unfinished run with other {odd} is here: remove it, or name another --out"
            )

    def has(self, piece: Piece) -> bool:
        """Whether a piece is finished."""
        return self._path(piece.number).exists()

    def add(self, piece: Piece, rows: Rows) -> None:
        """Write a finished piece: every clip's line with its result."""
        lines = [{"clip": to_line(clip, ROOT), "heard": row} for clip, row in zip(piece.clips, rows, strict=True)]
        write_text(self._path(piece.number), "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))

    def results(self, count: int) -> Iterator[tuple[Utterance, Json]]:
        """All clips of `count` pieces in order, with their results.

        Raises:
            SecateurError: a piece is missing or damaged.
        """
        for number in range(count):
            path = self._path(number)
            try:
                for line in path.read_text(encoding="utf-8").splitlines():
                    values = json.loads(line)
                    yield from_values(values["clip"], ROOT, str(path)), values["heard"]
            except (OSError, ValueError, KeyError) as problem:
                raise SecateurError(f"{path}: missing or damaged ({problem}): remove it and run again") from problem

    def remove(self) -> None:
        """Remove the pieces; the output holds their content."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:08}.jsonl"


def write_transcribed(store: Store, count: int, out: Path, details: bool) -> tuple[int, int]:
    """Write the manifest of transcripts, and `OUT.failed.jsonl` with the clips that failed; how many of each.

    A text that the clip already had is kept as "reference".
    """
    written = failed = 0
    problems = out.with_name(f"{out.stem}.failed.jsonl")
    with tempfile.TemporaryFile("w+", encoding="utf-8") as wrong, manifest_writer(out) as write:
        for clip, row in store.results(count):
            if "problem" in row:
                failed += 1
                wrong.write(json.dumps({**to_line(clip, ROOT), "problem": row["problem"]}, ensure_ascii=False) + "\n")
                continue
            written += 1
            extras = {**clip.extras, "confidence": row["confidence"]}
            if clip.text:
                extras["reference"] = clip.text
            if details:
                extras |= {name: row[name] for name in DETAILS}
            language = row["language"] or clip.language
            write(replace(clip, text=row["text"], duration=row["duration"], language=language, extras=extras))
        if failed:
            wrong.seek(0)
            with atomic_path(problems) as scratch, scratch.open("w", encoding="utf-8") as kept:
                shutil.copyfileobj(wrong, kept)
        elif url_of(problems) is None:
            problems.unlink(missing_ok=True)  # of a run before
    return written, failed


def write_files(
    store: Store, count: int, out: Path, kind: str, subtitles: SubtitleSettings | None = None
) -> tuple[int, int]:
    """One file a clip in the folder `out`, called by its id; how many were written, and how many clips failed.

    Raises:
        SecateurError: an id that leads outside of the folder.
    """
    written = failed = 0
    for clip, row in store.results(count):
        if "problem" in row:
            failed += 1
            continue
        written += 1
        path = out / f"{name_of_file(clip)}.{kind}"
        if ".." in path.parts or absolute(out) not in absolute(path).parents:
            raise SecateurError(f"{out}: the id '{clip.id}' is no name of a file in it")
        transcript = from_dict(Transcript, {key: value for key, value in row.items() if key != "id"})
        write_text(path, WRITERS[kind](transcript, subtitles or SubtitleSettings()))
    return written, failed
