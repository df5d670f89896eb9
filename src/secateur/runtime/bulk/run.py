"""Bulk transcription: cut the input into pieces, transcribe the missing ones, join the results."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from ...audio.files.kinds import audio_files
from ...base.engine import EngineName, RayEngine, run_ahead, run_here
from ...base.errors import SecateurError
from ...base.files import Json
from ...base.options import to_dict
from ...base.progress import say
from ...base.remote import state_of, url_of
from ...data.shards import shard_paths
from ...decode.segments import names_manifest
from ..contents import find_model
from ..subtitles import SubtitleSettings
from .clips import Piece, cut, each_once, is_manifest, name_of_file, read_clips
from .store import Store, write_files, write_transcribed
from .worker import PieceWorker, Rows, TranscribeSpec, make_worker


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
