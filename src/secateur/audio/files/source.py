"""What a recording is read from: a path, a pipe, a member of a tar archive, an open file, or a stretch of one."""

from __future__ import annotations

import contextlib
import io
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Generic, TypeVar

from ...base.errors import SecateurError
from ...base.files import at_home
from ...base.remote import open_remote, url_of
from ..members import open_member

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


Source = str | Path | BinaryIO
T = TypeVar("T")
State = tuple[str, int, int]  # a file's path, size and time of change


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


class ByteWindow(io.RawIOBase):
    """Bytes `start` to `end` of `file`, which is left open; `patches` are (position in the window, bytes there)."""

    def __init__(self, file: BinaryIO, start: int, end: int, patches: Sequence[tuple[int, bytes]] = ()) -> None:
        super().__init__()
        self._file, self._start, self._size, self._patches = file, start, end - start, patches
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = min(max(0, base + offset), self._size)
        return self._position

    def read(self, size: int = -1, /) -> bytes:
        left = max(0, self._size - self._position)
        self._file.seek(self._start + self._position)
        data = self._file.read(left if size < 0 else min(size, left))
        for at, new in self._patches:
            first, last = max(at, self._position), min(at + len(new), self._position + len(data))
            if first < last:
                mine = first - self._position
                data = data[:mine] + new[first - at : last - at] + data[mine + last - first :]
        self._position += len(data)
        return data

    def readall(self) -> bytes:
        return self.read()

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)


def state_of(path: Path) -> State:
    """A cheap fingerprint of a file's content: path, size and modification time.

    Raises:
        OSError: no such file.
    """
    status = path.stat()
    return str(path), status.st_size, status.st_mtime_ns


class LruCache(Generic[T]):
    """The most recently used results of `make`, `room` units in all; threads that need the same one wait for it."""

    def __init__(self, room: int, size: Callable[[T], int]) -> None:
        self._room, self._size = room, size
        self._values: OrderedDict[Hashable, T] = OrderedDict()
        self._makers: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> T | None:
        """The value under `key`, if it is cached."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def get_or_make(self, key: Hashable, make: Callable[[], T]) -> T:
        """The value under `key`, or else that of `make`, which is cached if there is room."""
        with self._lock:
            maker = self._makers.setdefault(key, threading.Lock())
        with maker:
            value = self.get(key)
            if value is not None:
                return value
            try:
                value = make()
            finally:
                with self._lock:
                    self._makers.pop(key, None)
            with self._lock:
                self._values[key] = value
                while sum(map(self._size, self._values.values())) > self._room:
                    self._values.popitem(last=False)
            return value
