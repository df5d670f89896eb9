"""Recordings inside tar archives: `shards-000.tar/clip.flac` is a file like any other to whoever reads audio.

Only plain archives: in a compressed one nothing can be read without all that comes before it.
"""

from __future__ import annotations

import io
import tarfile
import threading
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

from ..base.errors import SecateurError
from ..base.remote import is_file, remote_size, url_of

MOST_BYTES = 2 << 30  # of a member, which is read at once
MAX_INDEXES = 16  # archives whose table of contents is cached
_contents: OrderedDict[tuple[str, int, int], dict[str, tuple[int, int]]] = OrderedDict()
_lock = threading.Lock()


def inside_archive(path: Path) -> tuple[Path, str] | None:
    """The archive and the member's name that a path such as `shards-000.tar/a/clip.flac` means, or None."""
    for parent in path.parents:
        if parent.suffix == ".tar" and parent.is_file():
            return parent, path.relative_to(parent).as_posix()
    return None


def member_size(path: Path) -> int | None:
    """Bytes of a member, or None when there is no such archive or member.

    Raises:
        SecateurError: the archive is damaged.
    """
    inside = inside_archive(path)
    entry = None if inside is None else contents(inside[0]).get(inside[1])
    return None if entry is None else entry[1]


def is_recording(path: Path) -> bool:
    """Whether there is such a file, or such a member of an archive."""
    return is_file(path) or member_size(path) is not None


def recording_bytes(path: Path) -> int:
    """Bytes of a file or of a member of an archive.

    Raises:
        SecateurError: there is neither.
    """
    if url_of(path) is not None:
        size = remote_size(path)
    else:
        size = path.stat().st_size if path.is_file() else member_size(path)
    if size is None:
        raise SecateurError(f"{path}: no such file")
    return size


def open_member(path: Path) -> io.BytesIO | None:
    """What a member of an archive holds, or None when `path` means none.

    Raises:
        SecateurError: the archive is damaged, cannot be read, or has no such member.
    """
    inside = inside_archive(path)
    if inside is None:
        return None
    archive, name = inside
    entry = contents(archive).get(name)
    if entry is None:
        raise SecateurError(f"{path}: {archive.name} has no such member")
    if entry[1] > MOST_BYTES:
        raise SecateurError(f"{path}: {entry[1] / 1e9:.1f} GB in one member: unpack it, files are read piece by piece")
    return io.BytesIO(read_range(archive, *entry))


def read_range(archive: Path, start: int, size: int) -> bytes:
    """`size` bytes of `archive` from `start` on.

    Raises:
        SecateurError: it cannot be read, or ends before.
    """
    try:
        with archive.open("rb") as file:
            file.seek(start)
            data = file.read(size)
    except OSError as problem:
        raise SecateurError(f"{archive}: cannot be read ({problem.strerror or problem})") from problem
    if len(data) < size:
        raise SecateurError(f"{archive}: cut off: copy or pack it again")
    return data


def contents(archive: Path) -> dict[str, tuple[int, int]]:
    """First byte and size of every plain file in an archive, by its name; read once while the archive stays as it is.

    Raises:
        SecateurError: it cannot be read, is compressed or damaged.
    """
    try:
        status = archive.stat()
    except OSError as problem:
        raise SecateurError(f"{archive}: cannot be read ({problem.strerror or problem})") from problem
    key = (str(archive), status.st_size, status.st_mtime_ns)
    with _lock:  # of several threads the first reads
        if key in _contents:
            _contents.move_to_end(key)
            return _contents[key]
        index = {member.name: (member.offset_data, member.size) for member in members(archive)}
        _contents[key] = index
        if len(_contents) > MAX_INDEXES:
            _contents.popitem(last=False)
        return index


def members(archive: Path) -> Iterator[tarfile.TarInfo]:
    """The plain files of an archive, in its order; memory does not grow with their number.

    Raises:
        SecateurError: it cannot be read, is compressed, damaged or cut off.
    """
    try:
        size = archive.stat().st_size
        with tarfile.open(archive, "r:") as opened:
            while (member := opened.next()) is not None:
                opened.members = []  # type: ignore[attr-defined]  # it would keep a list of all members
                if member.isreg() and not member.issparse():
                    if member.offset_data + member.size > size:
                        raise SecateurError(f"{archive}: cut off inside {member.name}: copy or pack it again")
                    yield member
    except FileNotFoundError:
        raise SecateurError(f"{archive}: no such file") from None
    except (tarfile.TarError, EOFError, ValueError, TypeError, LookupError) as problem:
        raise SecateurError(
            f"{archive}: damaged, or no plain tar archive ({problem}); a compressed one must be unpacked first"
        ) from problem
    except OSError as problem:
        raise SecateurError(f"{archive}: cannot be read ({problem.strerror or problem})") from problem
