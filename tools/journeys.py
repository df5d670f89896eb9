"""Follow one command through the package: the files that it enters, and how often a call climbs back up.

    python tools/journeys.py transcribe clip.flac
    python tools/journeys.py prune --one-shot --model tiny.en ...

A file stands one floor above all that it imports. A call climbs when it goes from a file to one on a higher floor: a
callback, or a function that was handed down; a generator that is read is none. What imports run is not counted.
"""

from __future__ import annotations

import ast
import inspect
import sys
import threading
from collections import Counter
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import secateur
from secateur.cli import main

SOURCE = Path(secateur.__file__).resolve().parent


@cache
def imports(path: Path) -> frozenset[Path]:
    """The files of the package that a file imports, inside functions as well."""
    targets: set[Path] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            folder = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            for place in [folder, *(folder / alias.name for alias in node.names)]:
                targets |= {one for one in (place.with_suffix(".py"), place / "__init__.py") if one.is_file()}
    return frozenset(targets - {path})


FLOORS: dict[Path, int] = {}


def floor(path: Path) -> int:
    """1 for a file that imports none of ours; in a circle of files, what those outside of it say."""
    if path not in FLOORS:
        FLOORS[path] = 0  # begun
        FLOORS[path] = 1 + max(map(floor, imports(path)), default=0)
    return FLOORS[path]


class Journey:
    """What a profiler sees of one command."""

    def __init__(self) -> None:
        self.files: Counter[str] = Counter()
        self.climbs: Counter[tuple[str, str]] = Counter()
        self.importing = 0

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        """See `sys.setprofile`."""
        code, caller = frame.f_code, frame.f_back
        if not code.co_filename.startswith(str(SOURCE)):
            return
        if code.co_name == "<module>":
            self.importing += {"call": 1, "return": -1}.get(event, 0)
        if event != "call" or self.importing or code.co_name.startswith("<"):
            return
        if "__qualname__" in code.co_names and code.co_argcount == 0:  # the body of a class
            return
        self.files[code.co_filename] += 1
        while caller is not None and not caller.f_code.co_filename.startswith(str(SOURCE)):
            caller = caller.f_back
        read = code.co_flags & inspect.CO_GENERATOR  # its values are read: no call back
        if caller is not None and caller.f_code.co_filename != code.co_filename and not read:
            self.climbs[caller.f_code.co_filename, code.co_filename] += 1


def name(path: str) -> str:
    """A file's path inside the package."""
    return Path(path).relative_to(SOURCE).as_posix()


if __name__ == "__main__":
    journey = Journey()
    threading.setprofile(journey)
    sys.setprofile(journey)
    code = main(sys.argv[1:])
    sys.setprofile(None)
    up = sorted((a, b) for a, b in journey.climbs if floor(Path(a)) < floor(Path(b)))
    for path in sorted(journey.files):
        print(f"floor {floor(Path(path)):2}  {name(path)}", file=sys.stderr)
    for low, high in up:
        print(f"climbs from {name(low)} to {name(high)}", file=sys.stderr)
    print(f"{len(journey.files)} files, {len(up)} climbs", file=sys.stderr)
    sys.exit(code)
