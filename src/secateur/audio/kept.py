"""The last decoded recordings and what was learnt of files, for readers that take many segments of one recording."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")
State = tuple[str, int, int]  # a file's path, size and time of change


def state_of(path: Path) -> State:
    """What changes with a file's content.

    Raises:
        OSError: it is gone.
    """
    status = path.stat()
    return str(path), status.st_size, status.st_mtime_ns


class Kept(Generic[T]):
    """The last used of what `make` gave, of `room` units in all; several threads that want the same wait for one."""

    def __init__(self, room: int, size: Callable[[T], int]) -> None:
        self._room, self._size = room, size
        self._held: OrderedDict[Hashable, T] = OrderedDict()
        self._makers: dict[Hashable, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> T | None:
        """What is held under `key`."""
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
            return self._held.get(key)

    def get_or_make(self, key: Hashable, make: Callable[[], T]) -> T:
        """What is held under `key`, or what `make` gives, which is held from then on if there is room."""
        with self._lock:
            maker = self._makers.setdefault(key, threading.Lock())
        with maker:
            found = self.get(key)
            if found is not None:
                return found
            try:
                made = make()
            finally:
                with self._lock:
                    self._makers.pop(key, None)
            with self._lock:
                self._held[key] = made
                while sum(map(self._size, self._held.values())) > self._room:
                    self._held.popitem(last=False)
            return made
