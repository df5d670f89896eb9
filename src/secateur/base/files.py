"""Files and folders that are either old or new, never torn; the cache outside the checkout; checksums."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import json
import os
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .errors import SecateurError
from .other_files import begins_as_audio
from .remote import open_remote, url_of, write_remote

MOST_TEXT = 256 << 20  # bytes of a JSON, TOML or text file; the largest that we know, a tokenizer, has 20 MB
MOST_TOML = 16 << 20  # bytes; people write these by hand
Json = dict[str, Any]  # an object of a JSON file; what reads it checks its values
_AT_FDCWD = -100
_EXCHANGE = 2  # RENAME_EXCHANGE: both names exist before, between and after


def cache_dir() -> Path:
    """Where downloads live: `$SECATEUR_CACHE`, or `~/.cache/secateur`."""
    root = os.environ.get("SECATEUR_CACHE") or os.environ.get("XDG_CACHE_HOME")
    if os.environ.get("SECATEUR_CACHE"):
        return Path(str(root))
    return (Path(root) if root else Path.home() / ".cache") / "secateur"


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path` that replaces it when the block ends without an error.

    What a URL names is written on this machine first, and put there in one piece.

    Raises:
        SecateurError: the folder cannot be written.
    """
    path = Path(path)
    if url_of(path) is not None:
        with tempfile.TemporaryDirectory() as folder:
            temporary = Path(folder) / path.name
            temporary.touch()
            yield temporary
            write_remote(path, temporary)
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        os.close(handle)
    except OSError as problem:
        raise SecateurError(f"{path}: cannot write here ({problem.strerror or problem})") from problem
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as problem:
        raise SecateurError(f"{path}: writing failed ({problem.strerror or problem})") from problem
    finally:
        with contextlib.suppress(OSError):  # a folder that turned read-only: the first problem is the one reported
            temporary.unlink(missing_ok=True)


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write `data` to `path` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 `text` to `path` atomically; half a surrogate pair, which no UTF-8 holds, as its JSON escape."""
    write_bytes(path, text.encode(errors="backslashreplace"))


def write_json(path: str | Path, value: object, indent: int | None = 2) -> None:
    """Write `value` as JSON to `path` atomically; without `indent` on one line."""
    write_text(path, json.dumps(value, indent=indent, ensure_ascii=False) + "\n")


def read_json(path: str | Path) -> Any:
    """The JSON value in `path`.

    Raises:
        SecateurError: missing, unreadable or not JSON.
    """
    path = Path(path)
    try:
        return json.loads(read_limited(path).decode())
    except UnicodeDecodeError as problem:
        raise SecateurError(f"{path}: cannot be read ({problem})") from problem
    except json.JSONDecodeError as problem:
        raise SecateurError(f"{path}: not valid JSON (line {problem.lineno}: {problem.msg})") from problem
    except ValueError:  # Python refuses integers of more than 4300 digits
        raise SecateurError(f"{path}: not valid JSON here (a number with too many digits)") from None
    except RecursionError:
        raise SecateurError(f"{path}: not valid JSON (nested too deep)") from None


def read_limited(path: str | Path, most: int = MOST_TEXT) -> bytes:
    """The bytes of a file, which are at most `most`: a device or a pipe may have no end.

    Raises:
        SecateurError: missing, unreadable or larger.
    """
    path = Path(path)
    try:
        with open_remote(path) if url_of(path) else path.open("rb") as source:
            data = source.read(most + 1)
    except FileNotFoundError:
        raise SecateurError(f"{path}: no such file") from None
    except (OSError, ValueError) as problem:  # ValueError: a zero byte in the name
        raise SecateurError(f"{path}: cannot be read ({getattr(problem, 'strerror', None) or problem})") from problem
    if len(data) > most:
        raise SecateurError(f"{path}: larger than {most / 1e6:.0f} MB: not the kind of file that is expected")
    return data


def read_start(path: str | Path, count: int = 512) -> bytes:
    """The first bytes of a file, by which its kind is known; none of what cannot be read."""
    try:
        with open_remote(path) if url_of(path) else Path(path).open("rb") as source:
            return source.read(count)
    except (OSError, ValueError):
        return b""


class FolderPath(type(Path())):  # type: ignore[misc]
    """A path that was written with a slash at its end, which `Path` forgets: a folder, whatever its name ends in."""


def at_home(path: str | Path) -> Path:
    """`path` with `~` as the user's folder; the `~name` of nobody stays as it is."""
    kind: type[Path] = FolderPath if isinstance(path, str) and path.endswith(("/", os.sep)) else type(Path(path))
    try:
        return kind(Path(path).expanduser())
    except (RuntimeError, ValueError):  # ValueError: a zero byte in it
        return kind(path)


def sha256(path: str | Path, progress: Callable[[int], None] | None = None) -> str:
    """Hex SHA-256 of a file, read in pieces of 1 MiB."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as source:
        while piece := source.read(1 << 20):
            digest.update(piece)
            if progress:
                progress(len(piece))
    return digest.hexdigest()


def read_toml(path: str | Path) -> dict[str, Any]:
    """The table in a TOML file.

    Raises:
        SecateurError: missing, unreadable or not TOML.
    """
    path = Path(path)
    if begins_as_audio(read_start(path)):
        raise SecateurError(f"{path}: an audio file, where a TOML file of settings belongs: name it without an option")
    try:
        return tomllib.loads(read_limited(path, MOST_TOML).decode().replace("\r\n", "\n"))
    except ValueError as problem:  # also what is not UTF-8, and numbers of too many digits
        raise SecateurError(f"{path}: not valid TOML ({problem})") from problem
    except RecursionError:
        raise SecateurError(f"{path}: not valid TOML (nested too deep)") from None


def replace_folder(finished: Path, target: Path) -> None:
    """Move the folder `finished` to `target`, replacing a folder that may be there.

    Killed at any moment, `target` is the old folder or the new one. Where the system cannot exchange two names, there
    is a moment without either; the old one then lies beside it, under a name that starts with a dot.

    Raises:
        OSError: the target cannot be written.
    """
    if not target.exists():
        finished.rename(target)
    elif exchange(finished, target):
        shutil.rmtree(finished, ignore_errors=True)
    else:
        old = finished.with_suffix(".old")
        target.rename(old)
        try:
            finished.rename(target)
        except OSError:
            old.rename(target)
            raise
        shutil.rmtree(old, ignore_errors=True)


def exchange(one: Path, other: Path) -> bool:
    """Let two names trade what they name, in one step; false where the system or the file system cannot."""
    if not sys.platform.startswith("linux"):
        return False
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    return bool(rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _EXCHANGE) == 0)


def clear_temporaries(folder: Path) -> None:
    """Remove what a killed process left half written in its own `folder` and the folders in it.

    Only for folders that one job at a time writes to: the temporaries of another one would go as well.
    """
    for leftover in folder.glob("**/.*.tmp"):
        with contextlib.suppress(OSError):
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()


def folder_bytes(folder: Path) -> int | None:
    """Bytes of the files in a model's folder, those of folders in it left out; None where there is no such folder."""
    return sum(f.stat().st_size for f in folder.iterdir() if f.is_file()) if folder.is_dir() else None
