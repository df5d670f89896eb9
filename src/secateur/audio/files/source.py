"""What a recording is read from: a path, a pipe, a member of a tar archive, or an open file."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ...base.errors import SecateurError
from ...base.files import at_home
from ...base.remote import open_remote, url_of
from ..members import open_member

Source = str | Path | BinaryIO


@dataclass(frozen=True)
class Opened:
    """A recording's bytes in an open, seekable file."""

    name: str  # what messages call it
    file: BinaryIO  # seekable
    size: int  # bytes
    path: Path | None  # of a plain file

    @property
    def suffix(self) -> str:
        """The ending of its name, in lower case."""
        return Path(self.name).suffix.lower()

    def at(self, offset: int, count: int) -> bytes:
        """Up to `count` bytes from byte `place` on; none outside of the file, where sizes that lie may lead."""
        if not 0 <= offset < self.size:
            return b""
        self.file.seek(offset)
        return self.file.read(count)


def name_of(source: Source) -> str:
    """What messages call a source."""
    return str(source) if isinstance(source, str | Path) else str(getattr(source, "name", "audio"))


@contextlib.contextmanager
def opened(source: Source, most_piped: int) -> Iterator[Opened]:
    """A source's bytes; those of a pipe are read first, up to `most_piped` of them.

    Raises:
        SecateurError: nothing there, a folder, a device, not allowed, no bytes, or a pipe that does not end.
    """
    name = name_of(source)
    with contextlib.ExitStack() as stack:
        path: Path | None = None
        if isinstance(source, str | Path):
            readable = open_remote(source) if url_of(source) else _readable(at_home(source), name, most_piped)
            if isinstance(readable, Path):
                path = readable
                file: BinaryIO = stack.enter_context(path.open("rb"))
            else:
                file = readable
        else:
            file = source if source.seekable() else _all_of(source, name, most_piped)
        size = file.seek(0, io.SEEK_END)
        if size == 0:
            raise SecateurError(f"{name}: empty, there are no bytes in it")
        file.seek(0)
        yield Opened(name, file, size, path)


def _all_of(pipe: BinaryIO, name: str, most: int) -> io.BytesIO:
    """What a pipe brings, which may have no end."""
    data = pipe.read(most + 1)
    if len(data) > most:
        raise SecateurError(f"{name}: more than {most >> 30} GB through a pipe: save it to a file, and split it")
    return io.BytesIO(data)


def _readable(path: Path, name: str, most_piped: int) -> Path | io.BytesIO:
    """The path of a file that can be opened; the content of a pipe, or of a member of a tar archive."""
    try:
        if path.is_fifo():
            with path.open("rb") as pipe:
                return _all_of(pipe, name, most_piped)
        if path.is_char_device() or path.is_block_device():
            raise SecateurError(f"{name}: a device, not an audio file")
        with path.open("rb"):
            return path
    except NotADirectoryError as problem:
        member = open_member(path)
        if member is None:
            raise SecateurError(f"{name}: cannot be read ({problem.strerror})") from problem
        return member
    except FileNotFoundError:
        raise SecateurError(f"{name}: no such file") from None
    except IsADirectoryError:
        raise SecateurError(f"{name}: a folder, not an audio file") from None
    except (OSError, ValueError) as problem:  # ValueError: a zero byte in the name
        raise SecateurError(f"{name}: cannot be read ({getattr(problem, 'strerror', None) or problem})") from problem
