"""A set that does not fit in memory: every line's position and its clip's duration; the rest is read on access."""

from __future__ import annotations

import json
import tempfile
import threading
from abc import abstractmethod
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Generic, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from ..base.progress import say
from ..base.remote import absolute, open_remote, url_of
from .manifest import MOST_LINE, Utterance, iter_manifest, iter_offsets, parse_line, to_line
from .shards import is_shards

ROOT = Path("/")
S = TypeVar("S")
T = TypeVar("T")


class LazySequence(Sequence[T]):
    """A sequence whose rows are made when they are asked for."""

    @abstractmethod
    def made(self, row: int) -> T:
        """One row, counted from the end where it is negative."""

    @overload
    def __getitem__(self, row: int) -> T: ...
    @overload
    def __getitem__(self, row: slice) -> list[T]: ...
    def __getitem__(self, row: int | slice) -> T | list[T]:
        if isinstance(row, slice):
            return [self.made(i) for i in range(*row.indices(len(self)))]
        if not -len(self) <= row < len(self):
            raise IndexError(row)
        return self.made(row)


class ClipIndex(LazySequence[Utterance]):
    """The clips of manifests and archives, of which 14 bytes each are in memory: file, offset of the line, duration.

    Lines of JSONL manifests are read again where they are, so the files must stay as they are. The fields of
    archives' clips are kept in a temporary file, as lines. Clips longer than `longest` (s) are left out; `on_clip` is
    called with every other one, once, while the index is made.

    Raises:
        SecateurError: see `iter_manifest`.
    """

    def __init__(
        self,
        manifests: Iterable[str | Path],
        longest: float = np.inf,
        on_clip: Callable[[Utterance], None] | None = None,
    ) -> None:
        self._files: list[tuple[BinaryIO, Path, str]] = []  # with its folder, and what messages call it
        numbers, offsets, durations = array("H"), array("q"), array("f")
        self._lock = threading.Lock()
        self.dropped = 0
        for manifest in manifests:
            for offset, u in self._opened(Path(manifest)):
                if u.duration > longest:
                    self.dropped += 1
                    continue
                if on_clip is not None:
                    on_clip(u)
                numbers.append(len(self._files) - 1)
                offsets.append(offset)
                durations.append(u.duration)
        self._numbers, self._offsets = np.frombuffer(numbers, np.uint16), np.frombuffer(offsets, np.int64)
        self.durations: NDArray[np.float32] = np.frombuffer(durations, np.float32)  # s

    def _opened(self, path: Path) -> Iterator[tuple[int, Utterance]]:
        """Every clip of one source, and where its line begins in the file that is kept open for it."""
        if not is_shards(path):
            clips = iter_offsets(path)
            first = next(clips)
            file = open_remote(path) if url_of(path) else path.open("rb")
            self._files.append((file, absolute(path.parent), str(path)))
            yield first
            yield from clips
            return
        say(f"{path}: reading what the archives hold")
        spool = tempfile.TemporaryFile()  # noqa: SIM115 (open as long as the index)
        self._files.append((spool, ROOT, str(path)))
        for u in iter_manifest(path):
            offset = spool.tell()
            spool.write(json.dumps(to_line(u, ROOT), ensure_ascii=False).encode() + b"\n")
            yield offset, u
        spool.flush()

    def __len__(self) -> int:
        return len(self._offsets)

    def made(self, row: int) -> Utterance:
        """See `LazySequence`."""
        file, folder, name = self._files[self._numbers[row]]
        offset = int(self._offsets[row])
        with self._lock:  # threads read side by side, and a file has one position
            file.seek(offset)
            line = file.readline(MOST_LINE)
        return parse_line(line.removeprefix(b"\xef\xbb\xbf").strip(), folder, f"{name}, byte {offset}")


class Joined(LazySequence[Utterance]):
    """Two sets, one after the other."""

    def __init__(self, first: Sequence[Utterance], second: Sequence[Utterance]) -> None:
        self.first, self.second = first, second

    def __len__(self) -> int:
        return len(self.first) + len(self.second)

    def made(self, row: int) -> Utterance:
        """See `LazySequence`."""
        row = row + len(self) if row < 0 else row
        return self.first[row] if row < len(self.first) else self.second[row - len(self.first)]


class Mapped(LazySequence[T], Generic[S, T]):
    """A function applied to each item of a sequence on access; a few thousand results are cached."""

    MAX_CACHED = 1 << 12

    def __init__(self, source: Sequence[S], function: Callable[[S], T]) -> None:
        self.source, self.function = source, function
        self._cache: dict[int, T] = {}

    def __len__(self) -> int:
        return len(self.source)

    def made(self, row: int) -> T:
        """See `LazySequence`."""
        if row not in self._cache:
            if len(self._cache) >= self.MAX_CACHED:
                self._cache.clear()
            self._cache[row] = self.function(self.source[row])
        return self._cache[row]


def is_streamed(clips: Sequence[Utterance]) -> bool:
    """Whether a set's lines, or some of them, are read when they are asked for."""
    return isinstance(clips, ClipIndex | Joined)


def joined(first: Sequence[Utterance], second: Sequence[Utterance]) -> Sequence[Utterance]:
    """One set after the other; a list where both are in memory."""
    return Joined(first, second) if is_streamed(first) or is_streamed(second) else [*first, *second]


def rows_of(clips: Sequence[Utterance], function: Callable[[Utterance], T]) -> Sequence[T]:
    """`function` of every clip: at once, or of streamed clips on access."""
    return Mapped(clips, function) if is_streamed(clips) else [function(u) for u in clips]


def durations_of(clips: Sequence[Utterance]) -> NDArray[np.float32] | tuple[float, ...]:
    """Seconds of every clip."""
    return clips.durations if isinstance(clips, ClipIndex) else tuple(u.duration for u in clips)
