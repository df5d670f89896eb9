"""Bulk transcription: the input is cut into pieces, the missing ones are transcribed, each into a file of its own, and
joined into the manifest or the files asked for.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from ...audio.files.kinds import audio_files
from ...base.engine import EngineName, RayEngine, run_ahead, run_here
from ...base.errors import SecateurError
from ...base.files import Json, atomic_path, cache_dir, read_json, write_json, write_text
from ...base.options import from_dict, to_dict
from ...base.progress import say
from ...base.remote import absolute, state_of, url_of
from ...data.manifest import Utterance, from_values, manifest_writer, to_line
from ...data.shards import shard_paths
from ...decode.segments import Transcript, names_manifest
from ..contents import find_model
from ..subtitles import WRITERS, SubtitleSettings
from .clips import Piece, cut, each_once, is_manifest, name_of_file, read_clips
from .worker import PieceWorker, Rows, TranscribeSpec, make_worker

ROOT = Path("/")
DETAILS = ("segments",)  # of a transcript, kept in a manifest only when asked for


@dataclass(frozen=True)
class BulkSettings:
    """How the work is cut and written."""

    piece_seconds: float = 600.0  # of audio, at most, in a piece
    piece_clips: int = 256
    # A GPU takes hundreds of windows at once, and sorts them by length.
    gpu_piece_seconds: float = 7200.0
    gpu_piece_clips: int = 2048
    format: str = "txt"  # of files, one a clip
    subtitles: SubtitleSettings = field(default_factory=SubtitleSettings)
    details: bool = False  # segments (and word times) in a manifest


def transcribe_all(
    inputs: Sequence[str], spec: TranscribeSpec, out: Path, settings: BulkSettings, engine: EngineName = "local",
    workers: int = 2,
) -> Json:  # fmt: skip
    """Transcribe all clips of `inputs`, or resume a killed run; returns how many were transcribed and how many failed.

    `out` is a manifest when it ends with .jsonl, otherwise a folder with one file a clip. It is written when all pieces
    are done, also behind a URL; until then they are in `OUT.pieces` (see `Store`). Memory holds only the pieces in
    progress.

    Raises:
        SecateurError: inputs or a model that cannot be read, or an unfinished run with other settings.
    """
    folder = find_model(spec.model).resolve()
    seconds, most = settings.piece_seconds, settings.piece_clips
    if spec.on_gpu:
        seconds, most = settings.gpu_piece_seconds, settings.gpu_piece_clips
    settings_noted = {
        "model": str(folder),
        "decoding": to_dict(spec.decoding),
        "rewriting": to_dict(spec.writing),
        "pieces": [seconds, most],
        "inputs": [_state(word) for word in inputs],
    }
    store = Store(out, settings_noted)
    count = finished = 0

    def todo() -> Iterator[Piece]:
        nonlocal count, finished
        clips = each_once(read_clips(inputs), (lambda u: u.id) if names_manifest(out) else name_of_file)
        for piece in cut(clips, seconds, most):
            count = piece.number + 1
            if store.has(piece):
                finished += 1
            else:
                yield piece

    pieces = todo()
    first = next(pieces, None)  # the model is loaded only when there is something to transcribe
    if finished:
        say(f"{finished} pieces were finished before")
    if first is not None:
        _run_pieces(itertools.chain([first], pieces), spec, str(folder), store, engine, workers)
    if names_manifest(out):
        transcribed, failed = write_transcribed(store, count, out, settings.details)
    else:
        transcribed, failed = write_files(store, count, out, settings.format, settings.subtitles)
    store.remove()
    return {"out": url_of(out) or str(out), "heard": transcribed, "failed": failed, "pieces": count, "kept": finished}


def _run_pieces(
    pieces: Iterator[Piece], spec: TranscribeSpec, folder: str, store: Store, engine: EngineName, workers: int
) -> None:
    if engine == "ray":
        each = replace(spec, model=folder, threads=spec.threads or 1, workers=1)
        pool = RayEngine(partial(make_worker, each), workers, spec.on_gpu, "transcribing", _given_up)
        try:
            pool.run(pieces, store.add, "transcribing")
        finally:
            pool.close()
        return
    worker = make_worker(replace(spec, model=folder))
    if not isinstance(worker, PieceWorker) or not spec.on_gpu:
        run_here(worker, pieces, store.add, "transcribing")
        return
    try:
        run_ahead(worker.begin, worker.finish, pieces, store.add, "transcribing")
    finally:
        worker.close()


def _given_up(piece: Piece, problem: str) -> Rows:
    """The rows of a piece that no worker survives."""
    return [{"id": clip.id, "problem": problem} for clip in piece.clips]


def _state(word: str) -> list[Any]:
    """A fingerprint of an input: sizes and times of manifests and archives, a folder's file names."""
    if Path(word).is_dir():
        names = [str(path) for path in audio_files(word)]
        return [word, len(names), hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]]
    if not is_manifest(word):
        return [word]
    try:
        return [word, *(state_of(path) for path in shard_paths(word))]
    except OSError as problem:
        raise SecateurError(f"{word}: cannot be read ({problem.strerror or problem})") from problem


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
