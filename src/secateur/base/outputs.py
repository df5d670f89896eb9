"""Where a job writes, checked before it works.

`option(writes=...)` says what a path becomes: "folder", or the ending of a file ("." where any will do), or it is a
function of the settings that says so.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import SecateurError
from .option_fields import flat_names
from .remote import url_of

FOLDER = "folder"


def check_outputs(settings: object) -> None:
    """Refuse paths that cannot be written, for every option of `settings` and its parts that `writes` something.

    Raises:
        SecateurError: a folder where a file is written or the reverse, no right to write, or a file that is read, too.
    """
    read = list(_inputs(settings))
    for option, path, writes in _outputs(settings):
        flag = "--" + option.replace("_", "-")
        if url_of(path) is not None:
            continue
        if writes == FOLDER:
            check_folder(path, flag)
            continue
        if path.is_dir():
            example = f"{path / 'NAME'}{writes.rstrip('.')}"
            raise SecateurError(f"{path}: is a folder; name a file with {flag}, such as {example}")
        check_folder(path.parent, flag)
        if any(path.exists() and one.exists() and path.samefile(one) for one in read):
            raise SecateurError(f"{path}: is read, and {flag} would replace it; name another {flag}")


def _outputs(settings: Any) -> Iterator[tuple[str, Path, str]]:
    """The option ("access.log"), path and kind (`folder`, or the ending of a file) of all that is written."""
    for one in dataclasses.fields(settings):
        value, writes = getattr(settings, one.name), one.metadata.get("writes", "")
        if dataclasses.is_dataclass(value):
            flat = flat_names(type(settings), one)
            for inner, path, kind in _outputs(value):
                yield inner if inner.split(".")[0] in flat else f"{one.name}.{inner}", path, kind
        elif writes and isinstance(value, Path) and str(value) != "-":
            yield one.name, value, writes(settings) if callable(writes) else writes


def _inputs(settings: Any) -> Iterator[Path]:
    """Every path that is only read, and the words that a command works on."""
    for one in dataclasses.fields(settings):
        value = getattr(settings, one.name)
        for word in value if isinstance(value, tuple) else (value,):
            if not one.metadata.get("writes") and (isinstance(word, Path) or one.metadata.get("positional")):
                yield Path(str(word))


def check_folder(out: Path, flag: str = "--out") -> None:
    """Refuse a folder that cannot be written.

    Raises:
        SecateurError: a file is there, or no right to write.
    """
    for parent in (out, *out.absolute().parents):
        if parent.exists():
            if not parent.is_dir():
                raise SecateurError(f"{parent} is a file, not a folder; name another {flag}")
            if not os.access(parent, os.W_OK | os.X_OK):
                raise SecateurError(f"{out}: cannot write here (no right to write in {parent})")
            return
