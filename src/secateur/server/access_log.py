"""A line of JSON for every request and stream: who, what, how it ended. Never what was said, and no query."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from ..base.errors import SecateurError

LONGEST = 200  # letters of a path


class AccessLog:
    """Appends to a file, or to standard error (`-`). The file may be truncated by others while it is open.

    Raises:
        SecateurError: the file cannot be written to.
    """

    def __init__(self, place: Path) -> None:
        try:
            self._file = sys.stderr if str(place) == "-" else place.open("a", encoding="utf-8")
        except OSError as problem:
            raise SecateurError(f"{place}: no log can be written there ({problem.strerror})") from problem

    def write(self, protocol: str, client: str, path: str, status: int, seconds: float, **more: object) -> None:
        """One request or stream that has ended; `status` is HTTP's, of streams the same by meaning."""
        values = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"), "client": client, "protocol": protocol,
            "path": path[:LONGEST], "status": status, "seconds": round(seconds, 3), **more,
        }  # fmt: skip
        try:
            self._file.write(json.dumps(values) + "\n")
            self._file.flush()
        except OSError:  # a full disk stops nobody from being served
            return
