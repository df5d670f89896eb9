"""A cache of decoded recordings and file layouts, for readers of many segments of one recording."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")
State = tuple[str, int, int]  # a file's path, size and time of change


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
