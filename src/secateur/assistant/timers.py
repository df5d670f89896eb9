"""Timers and alarms that ring: kept in a file, so that they outlive the program."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ..base.errors import SecateurError
from ..base.files import cache_dir, read_json, write_json

MOST = 100  # timers at a time


@dataclass(frozen=True)
class Timer:
    """Rings at `ends` (seconds since 1970); `seconds` is how long it was set for, 0 for an alarm; `text` what of."""

    ends: float
    seconds: float = 0.0
    kind: str = "timer"  # or "alarm"
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    text: str = ""  # what to remind of

    @property
    def called(self) -> str:
        """What a user calls it: timer, alarm or reminder."""
        return "reminder" if self.text else self.kind


class Timers:
    """All timers that run. Every change is written before it counts; threads may share one.

    Args:
        path: the file that keeps them, None: memory only.
        clock: seconds since 1970.

    Raises:
        SecateurError: the file is there and is none of ours.
    """

    def __init__(self, path: Path | None = None, clock: Callable[[], float] = time.time) -> None:
        self.path, self.clock = path, clock
        self._lock = threading.RLock()
        self._running: list[Timer] = self._read()

    def add(self, timer: Timer) -> None:
        """Start one.

        Raises:
            SecateurError: too many run already, or the file cannot be written.
        """
        with self._lock:
            if len(self.running()) >= MOST:
                raise SecateurError(f"{MOST} timers run already: cancel some")
            self._keep([*self.running(), timer])

    def running(self) -> list[Timer]:
        """Those that have not been taken by `due`, the next first."""
        with self._lock:
            return sorted(self._running, key=lambda timer: timer.ends)

    def cancel(self, *, number: str) -> list[Timer]:
        """Stop the one of an id; which it was."""
        with self._lock:
            removed = [t for t in self.running() if t.id == number]
            if removed:
                self._keep([t for t in self.running() if t not in removed])
            return removed

    def due(self) -> list[Timer]:
        """Those that have run out, each once."""
        with self._lock:
            now = self.clock()
            result = [timer for timer in self.running() if timer.ends <= now]
            if result:
                self._keep([timer for timer in self.running() if timer not in result])
            return result

    def _keep(self, timers: list[Timer]) -> None:
        if self.path is not None:
            write_json(self.path, {"timers": [asdict(timer) for timer in timers]})
        self._running = timers

    def _read(self) -> list[Timer]:
        if self.path is None or not self.path.exists():
            return []
        try:
            return [Timer(**one) for one in read_json(self.path)["timers"]][:MOST]
        except (KeyError, TypeError, ValueError) as problem:
            raise SecateurError(f"{self.path}: not a file of timers ({problem}): move it away") from problem


def kept_timers(path: Path | None) -> Timers:
    """The timers that a program keeps over its restarts, in `path` or in the cache folder.

    Raises:
        SecateurError: their file is none of ours.
    """
    return Timers(path or cache_dir() / "timers.json")


class Ringer(threading.Thread):
    """Calls `ring` for every timer that runs out, until the program ends or `stop` is called."""

    def __init__(self, timers: Timers, ring: Callable[[Timer], None], interval: float = 0.25) -> None:
        super().__init__(daemon=True, name="timers")
        self._timers, self._ring, self._interval = timers, ring, interval
        self._stopped = threading.Event()

    def run(self) -> None:
        """Look at the clock again and again."""
        while not self._stopped.wait(self._interval):
            for timer in self._timers.due():
                self._ring(timer)

    def stop(self) -> None:
        """Stop watching: no timer rings any more."""
        self._stopped.set()
