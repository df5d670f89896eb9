"""Files behind a scheme (`s3://`, `gs://`, `hf://`, `http://`): `fsspec` opens them, in the extra `remote`.

Such a location is a `Path` like any other. pathlib makes one slash of the scheme's two, so `s3:/bucket/key` stands for
`s3://bucket/key` here; `url_of` restores it. One letter before the colon is a drive of Windows.
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
MAX_IN_MEMORY = 2 << 30  # bytes of a file that is read into memory
MAX_CACHED = 256 << 20  # bytes of the files fetched last
MOST_FILES = 10_000_000  # of a folder
_cache: OrderedDict[tuple[Any, ...], bytes] = OrderedDict()
_lock = threading.Lock()


def url_of(path: str | Path) -> str | None:
    """The URL that a path stands for, or None for what is on this machine.

    >>> url_of(Path("s3://bucket/a.flac")), url_of("/a/b"), url_of("C:/a")
    ('s3://bucket/a.flac', None, None)
    """
    text = path if isinstance(path, str) else path.as_posix()
    match = SCHEME.match(text)
    if match is None:
        return None
    slashes = "///" if match[1].lower() == "file" else "//"
    return f"{match[1]}:{slashes}{text[match.end() :]}"


def absolute(path: str | Path) -> Path:
    """`path` without links and relative parts; of a URL, itself."""
    return Path(path) if url_of(path) else Path(path).resolve()


@contextlib.contextmanager
def _as_secateur_error(url: str) -> Iterator[None]:
    """Raise any error of a file system as a `SecateurError`."""
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
    """The content of a URL, open for reading; small files are fetched at once, large ones as they are read.

    Raises:
        SecateurError: no such file, no access, or a package that is missing.
    """
    url = url_of(path) or str(path)
    with _as_secateur_error(url):
        system, location = _system(url)
        about = system.info(location)
        if about.get("type") == "directory":
            raise SecateurError(f"{url}: a folder, not a file")
        size = about.get("size")
        if size is not None and size > MAX_IN_MEMORY:
            return system.open(location, "rb")  # type: ignore[no-any-return]
        state = url, size, *(str(about.get(name)) for name in ("mtime", "LastModified", "ETag", "etag", "created"))
        data = _cache.get(state)
        if data is None:
            with system.open(location, "rb") as file:
                data = file.read(MAX_IN_MEMORY + 1)
    if len(data) > MAX_IN_MEMORY:
        raise SecateurError(
            f"{url}: more than {MAX_IN_MEMORY >> 30} GB, from a server that does not say how much: download it first"
        )
    with _lock:  # parts of one recording follow each other
        _cache[state] = data
        _cache.move_to_end(state)
        while len(_cache) > 1 and sum(map(len, _cache.values())) > MAX_CACHED:
            _cache.popitem(last=False)
    buffer = io.BytesIO(data)
    buffer.name = url
    return buffer


def write_remote(path: str | Path, local: Path) -> None:
    """Upload a local file to a URL.

    Raises:
        SecateurError: no access, or a package that is missing.
    """
    url = url_of(path) or str(path)
    with _as_secateur_error(url):
        system, location = _system(url)
        with contextlib.suppress(Exception):  # object stores have no folders
            system.makedirs(system._parent(location), exist_ok=True)
        system.put_file(str(local), location)


def remote_size(path: str | Path) -> int | None:
    """Bytes of what a URL holds, 0 where the server does not say; None when there is no such file.

    Raises:
        SecateurError: no access, or a package that is missing.
    """
    url = url_of(path) or str(path)
    with _as_secateur_error(url):
        system, location = _system(url)
        try:
            info = system.info(location)
        except FileNotFoundError:
            return None
        return None if info.get("type") == "directory" else int(info.get("size") or 0)


def state_of(path: Path) -> list[Any]:
    """A cheap fingerprint of a file's content: its size and modification time (of a URL the size alone).

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
    with _as_secateur_error(url):
        system, location = _system(url)
        return bool(system.isdir(location))


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
        with _as_secateur_error(url):
            system, location = _system(url)
            scheme = url.split("://", 1)[0]
            names = [str(system.unstrip_protocol(name)) for name in system.find(location)]
        paths = [Path(name if "://" in name else f"{scheme}://{name}") for name in names]
        return sorted(p for p in paths if not _hidden(p.relative_to(folder).parts))
    seen: set[str] = set()
    paths = []
    for folder_path, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(folder_path)
        folders[:] = [] if real in seen else sorted(f for f in folders if not f.startswith("."))
        if real in seen:
            continue
        seen.add(real)
        paths += [Path(folder_path, name) for name in names if not name.startswith(".")]
        if len(paths) > most:
            raise SecateurError(f"{folder}: more than {most} files: name a folder inside it")
    return sorted(paths)


def _hidden(parts: tuple[str, ...]) -> bool:
    return any(part.startswith(".") for part in parts)
