"""A stretch of a file as a file of its own, with some of its bytes replaced."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


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
