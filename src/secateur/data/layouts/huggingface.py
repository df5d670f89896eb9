"""Hugging Face's `datasets`: folders with audio and a `metadata` table, parquet and arrow files with audio inside."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from ...base.errors import SecateurError
from ...base.extras import require
from ...base.files import write_bytes
from ...base.remote import is_file, open_remote, url_of
from ..recording import ForeignSet, Recording
from ..rows import RowsOf, read_rows
from ..tables import SPLITS, table_rows
from .jsonl import manifest_rows

METADATA = ("metadata.csv", "metadata.jsonl", "metadata.tsv", "metadata.parquet")
COLUMNAR = (".parquet", ".arrow")
ROWS = 64  # of a parquet file in memory
# What the first bytes of audio are, and the ending that a file of it has.
MAGIC = (
    (b"RIFF", "wav"), (b"fLaC", "flac"), (b"OggS", "ogg"), (b"ID3", "mp3"), (b"\xff\xfb", "mp3"), (b"\xff\xf3", "mp3"),
    (b"\xff\xf2", "mp3"), (b"FORM", "aiff"), (b".snd", "au"), (b"\x1aE\xdf\xa3", "webm"), (b"NIST_1A", "sph"),
)  # fmt: skip


def read_audiofolder(place: ForeignSet | str | Path) -> Iterator[Recording]:
    """Folders with `metadata.csv`, `.jsonl` or `.parquet`, whose `file_name` is relative to them; splits are folders.

    Raises:
        SecateurError: columns that are not clear, or nothing that can be used.
    """
    source = ForeignSet.of(place)
    for path in (f for f in source.files if f.name.lower() in METADATA):
        inside = path.parent.relative_to(source.folder).parts
        split = next((SPLITS.get(part, part) for part in inside if part in (*SPLITS, "train", "dev", "test")), "")
        if path.suffix == ".jsonl":
            yield from manifest_rows(source, path, split)
        elif path.suffix == ".parquet":
            yield from _columnar(source, path, split)
        else:
            yield from table_rows(source, path, split)


def read_columnar(place: ForeignSet | str | Path) -> Iterator[Recording]:
    """Parquet and arrow files (needs pyarrow) whose audio is bytes, samples, or a path beside the file.

    Audio that is inside is written to the folder `ReadSettings.media`; splits are in the files' names
    (`train-00000-of-00004.parquet`) or folders.

    Raises:
        SecateurError: pyarrow is not installed, a damaged file, or columns that are not clear.
    """
    source = ForeignSet.of(place)
    paths = [source.root] if source.root != source.folder else source.ending(*COLUMNAR)
    for path in paths:
        named = re.split(r"[-_.]", path.name)[0]
        words = [named, *reversed(path.parent.relative_to(source.folder).parts if source.root == source.folder else ())]
        split = next((SPLITS.get(word, word) for word in words if word in (*SPLITS, "train", "dev", "test")), "")
        yield from _columnar(source, path, split)


def _columnar(source: ForeignSet, path: Path, split: str) -> Iterator[Recording]:
    rows = enumerate(_rows(path), 1)
    about = RowsOf(str(path), path.parent, split, write_media=partial(_as_file, source, path))
    yield from read_rows(source, rows, None, about)


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    """The rows of a file, a few at a time."""
    arrow = require("pyarrow", "parquet")
    file = open_remote(path) if url_of(path) else path.open("rb")
    with file:
        try:
            if path.suffix.lower() == ".parquet":
                batches: Any = require("pyarrow.parquet", "parquet").ParquetFile(file).iter_batches(ROWS)
            else:
                batches = _arrow_batches(require("pyarrow.ipc", "parquet"), file)
            for batch in batches:
                yield from batch.to_pylist()
        except (arrow.ArrowException, OSError, ValueError) as problem:
            raise SecateurError(f"{path}: cannot be read as {path.suffix[1:]} ({str(problem)[:100]})") from problem


def _arrow_batches(ipc: Any, file: Any) -> Iterator[Any]:
    """What `save_to_disk` writes is a stream; other programs write files."""
    start = file.read(6)
    file.seek(0)
    if start == b"ARROW1":
        opened = ipc.open_file(file)
        yield from (
            opened.get_batch(i).slice(at, ROWS)
            for i in range(opened.num_record_batches)
            for at in range(0, opened.get_batch(i).num_rows, ROWS)
        )
    else:
        for batch in ipc.open_stream(file):
            yield from (batch.slice(at, ROWS) for at in range(0, batch.num_rows, ROWS))


def _as_file(source: ForeignSet, table: Path, value: Mapping[str, Any], where: str) -> Path | None:
    """Write audio that is inside of a table to a file with its old name, or one of its hash; None: of unknown kind."""
    folder = source.settings.media
    if folder is None:
        raise SecateurError(f"{where}: the audio is inside of the table: name where it goes (--out)")
    data = value.get("bytes")
    if data is None:
        rate, samples = value.get("sampling_rate"), np.asarray(value.get("array"), np.float32)
        if not isinstance(rate, int) or samples.ndim != 1 or not len(samples):
            return None
        out = io.BytesIO()
        soundfile.write(out, samples.clip(-1, 1), rate, format="FLAC", subtype="PCM_16")
        data = out.getvalue()
    ending = kind_of_audio(data)
    if ending is None:
        return None
    digest = hashlib.sha256(data).hexdigest()[:16]
    stem = re.sub(r"[^\w.-]", "_", Path(str(value.get("path") or "")).stem)[:80].lstrip(".")
    path = folder / f"{stem}.{ending}" if stem else folder / f"{digest}.{ending}"
    if is_file(path) and not _same(path, data):
        path = folder / f"{stem}-{digest}.{ending}"
    if not is_file(path):
        write_bytes(path, data)
    return path


def _same(path: Path, data: bytes) -> bool:
    return url_of(path) is not None or (path.stat().st_size == len(data) and path.read_bytes() == data)


def kind_of_audio(data: bytes) -> str | None:
    """The ending for a file with this content, or None when it is no audio that is known."""
    if data[4:8] == b"ftyp":
        return "m4a"
    if data[:4] == b"OggS":
        return "opus" if b"OpusHead" in data[:64] else "ogg"
    return next((ending for magic, ending in MAGIC if data.startswith(magic)), None)
