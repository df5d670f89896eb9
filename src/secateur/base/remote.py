"""Files behind a scheme (`s3://`, `gs://`, `hf://`, `http://`): `fsspec` opens them, in the extra `remote`.

Such a place is a `Path` like any other. pathlib makes one slash of the scheme's two, so `s3:/bucket/key` stands for
`s3://bucket/key` here; `url_of` gives it back. One letter before the colon is a drive of Windows.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from .errors import SecateurError
from .extras import hint, require

SCHEME = re.compile(r"^([a-zA-Z][a-zA-Z0-9+.-]+):/+")
MOST_WHOLE = 2 << 30  # bytes of a file that is brought into memory
MOST_KEPT = 256 << 20  # bytes of what was fetched last
MOST_FILES = 10_000_000  # of a folder
_kept: OrderedDict[tuple[Any, ...], bytes] = OrderedDict()
_lock = threading.Lock()


def url_of(path: str | Path) -> str | None:
    """The URL that a path stands for, or None for what is on this machine.

    >>> url_of(Path("s3://bucket/a.flac")), url_of("/a/b"), url_of("C:/a")
    ('s3://bucket/a.flac', None, None)
    """
    text = path if isinstance(path, str) else path.as_posix()
    found = SCHEME.match(text)
    if found is None:
        return None
    slashes = "///" if found[1].lower() == "file" else "//"
    return f"{found[1]}:{slashes}{text[found.end() :]}"


def absolute(path: str | Path) -> Path:
    """`path` without links and relative parts; of a URL, itself."""
    return Path(path) if url_of(path) else Path(path).resolve()


@contextlib.contextmanager
def _told(url: str) -> Iterator[None]:
    """Whatever a file system raises as one line."""
    try:
        yield
    except SecateurError:
        raise
    except FileNotFoundError:
        server = " (or its server does not answer)" if url.startswith("http") else ""
        raise SecateurError(f"{url}: no such file{server}") from None
    except ImportError as problem:  # fsspec's own words name the package: "Install s3fs to access S3"
        scheme = url.split(":")[0]
        what = f"run  {hint('remote')}" if scheme in ("http", "https") else "it comes with pip"
        raise SecateurError(f"{url}: a package for '{scheme}' is missing: {problem}: {what}") from None
    except Exception as problem:  # file systems raise errors of their own libraries
        reason = str(problem) or type(problem).__name__
        raise SecateurError(f"{url}: cannot be reached or read ({reason})") from problem


def _system(url: str) -> tuple[Any, str]:
    """The file system of a URL and the path in it."""
    system, path = require("fsspec.core", "remote").url_to_fs(url)
    return system, path


def open_remote(path: str | Path) -> BinaryIO:
    """What a URL holds, open for reading; small files are fetched at once, large ones in the pieces that are read.

    Raises:
        SecateurError: no such file, no access, or a package that is missing.
    """
    url = url_of(path) or str(path)
    with _told(url):
        system, place = _system(url)
        about = system.info(place)
        if about.get("type") == "directory":
            raise SecateurError(f"{url}: a folder, not a file")
        size = about.get("size")
        if size is not None and size > MOST_WHOLE:
            return system.open(place, "rb")  # type: ignore[no-any-return]
        state = url, size, *(str(about.get(name)) for name in ("mtime", "LastModified", "ETag", "etag", "created"))
        data = _kept.get(state)
        if data is None:
            with system.open(place, "rb") as file:
                data = file.read(MOST_WHOLE + 1)
    if len(data) > MOST_WHOLE:
        raise SecateurError(f"{url}: more than {MOST_WHOLE >> 30} GB, of a server that does not say how much: copy it")
    with _lock:  # parts of one recording follow each other
        _kept[state] = data
        _kept.move_to_end(state)
        while len(_kept) > 1 and sum(map(len, _kept.values())) > MOST_KEPT:
            _kept.popitem(last=False)
    held = io.BytesIO(data)
    held.name = url
    return held


def write_remote(path: str | Path, local: Path) -> None:
    """Put a file of this machine where a URL says.

    Raises:
        SecateurError: no access, or a package that is missing.
    """
    url = url_of(path) or str(path)
    with _told(url):
        system, place = _system(url)
        with contextlib.suppress(Exception):  # object stores have no folders
            system.makedirs(system._parent(place), exist_ok=True)
        system.put_file(str(local), place)


def remote_size(path: str | Path) -> int | None:
    """Bytes of what a URL holds, 0 where the server does not say; None when there is no such file.

    Raises:
        SecateurError: no access, or a package that is missing.
    """
    url = url_of(path) or str(path)
    with _told(url):
        system, place = _system(url)
        try:
            found = system.info(place)
        except FileNotFoundError:
            return None
        return None if found.get("type") == "directory" else int(found.get("size") or 0)


def state_of(path: Path) -> list[Any]:
    """What changes with a file's content, nearly always: its size and when it was written (of URLs the size alone).

    Raises:
        OSError, SecateurError: no such file, or no access.
    """
    if url_of(path) is None:
        return [path.stat().st_size, path.stat().st_mtime_ns]
    size = remote_size(path)
    if size is None:
        raise SecateurError(f"{url_of(path)}: no such file")
    return [size, str(url_of(path))]


def is_folder(path: str | Path) -> bool:
    """Whether there is such a folder, here or behind a URL.

    Raises:
        SecateurError: no access, or a package that is missing.
    """
    url = url_of(path)
    if url is None:
        return Path(path).is_dir()
    with _told(url):
        system, place = _system(url)
        return bool(system.isdir(place))


def is_file(path: str | Path) -> bool:
    """Whether there is such a file, here or behind a URL.

    Raises:
        SecateurError: no access, or a package that is missing.
    """
    if url_of(path) is not None:
        return remote_size(path) is not None
    try:
        return Path(path).is_file()
    except (OSError, ValueError):  # a name too long, or with a zero byte
        return False


def files_below(folder: Path, most: int = MOST_FILES) -> list[Path]:
    """All files in a folder and in those inside it, sorted, hidden ones left out.

    Raises:
        SecateurError: no access, a package that is missing, or too many files.
    """
    url = url_of(folder)
    if url is not None:
        with _told(url):
            system, place = _system(url)
            scheme = url.split("://", 1)[0]
            names = [str(system.unstrip_protocol(name)) for name in system.find(place)]
        found = [Path(name if "://" in name else f"{scheme}://{name}") for name in names]
        return sorted(p for p in found if not _hidden(p.relative_to(folder).parts))
    seen: set[str] = set()
    found = []
    for here, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(here)
        folders[:] = [] if real in seen else sorted(f for f in folders if not f.startswith("."))
        if real in seen:
            continue
        seen.add(real)
        found += [Path(here, name) for name in names if not name.startswith(".")]
        if len(found) > most:
            raise SecateurError(f"{folder}: more than {most} files: name a folder inside it")
    return sorted(found)


def _hidden(parts: tuple[str, ...]) -> bool:
    return any(part.startswith(".") for part in parts)
