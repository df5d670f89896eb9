"""Unpacking what came from the network: nothing outside the folder, no links, no bombs, all or nothing."""

from __future__ import annotations

import lzma
import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Any

from ..base.errors import SecateurError
from ..base.progress import say, track

MAX_BYTES = 200 * 10**9  # unpacked; the largest set we know has 60 GB
MOST_RATIO = 200  # unpacked over packed; text and silence shrink by less
SLACK = 10**9  # bytes that any archive may hold
MOST_HEADER = 1 << 20  # bytes of a long name or a note
MAX_FILES = 5_000_000


class _Member(tarfile.TarInfo):
    """A header whose long names and notes are not read before their size is looked at: they may claim terabytes."""

    def _proc_member(self, tarfile_: tarfile.TarFile) -> Any:
        if not 0 <= self.size <= (MAX_BYTES if self.isreg() or self.issparse() else MOST_HEADER):
            raise tarfile.ReadError(f"a member of {self.size} bytes")
        return super()._proc_member(tarfile_)  # type: ignore[misc]


def unpack(archive: Path, folder: Path, max_bytes: int = MAX_BYTES, quiet: bool = False) -> None:
    """Unpack a tar archive (plain, gz, bz2, xz) into the new folder `folder`, which appears only when all is there.

    Links and devices are left out, with a message; nothing is executable or owned by anyone else.

    Raises:
        SecateurError: the folder exists, no tar archive, damaged, a name that leads outside of the folder, or more
            than `max_bytes`.
    """
    if folder.exists():
        raise SecateurError(f"{folder}: already there; remove it to unpack {archive.name} again")
    unpacking = folder.with_name(folder.name + ".unpacking")
    shutil.rmtree(unpacking, ignore_errors=True)
    try:
        unpacking.mkdir(parents=True)
        _unpack_into(archive, unpacking, max_bytes, quiet)
        unpacking.replace(folder)
    except SecateurError:
        raise
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, ValueError, TypeError, LookupError) as problem:
        raise SecateurError(f"{archive}: damaged, or no tar archive ({problem}); fetch it again") from problem
    except OSError as problem:
        raise SecateurError(f"{folder}: unpacking failed ({problem.strerror or problem})") from problem
    finally:
        shutil.rmtree(unpacking, ignore_errors=True)


def _unpack_into(archive: Path, folder: Path, max_bytes: int, quiet: bool) -> None:
    room, files, skipped = min(max_bytes, SLACK + MOST_RATIO * archive.stat().st_size), 0, 0
    with tarfile.open(archive, "r|*", tarinfo=_Member) as members:
        for member in track(members, f"unpacking {archive.name}", quiet=quiet):
            target = folder / safe_name(member.name, archive)
            if member.isdir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            plain = member.isreg() and not member.issparse()  # a sparse one is as long as it likes
            content = members.extractfile(member) if plain else None
            if content is None:
                skipped += 1
                continue
            room, files = room - member.size, files + 1
            if room < 0 or files > MAX_FILES:
                limits = f"{max_bytes / 1e9:g} GB, {MOST_RATIO} times its size, or {MAX_FILES} files"
                raise SecateurError(f"{archive}: refused, it unpacks to more than {limits}")
            target.parent.mkdir(parents=True, exist_ok=True)
            with content, target.open("xb") as out:
                shutil.copyfileobj(content, out, 1 << 20)
    if skipped:
        say(f"{archive.name}: {skipped} links or devices left out")


def safe_name(name: str, archive: Path) -> PurePosixPath:
    """A member's name as a relative path inside the folder.

    Raises:
        SecateurError: it is absolute, climbs out with "..", or holds a drive, a backslash or a zero byte.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or any(c in name for c in "\\:\0"):
        raise SecateurError(f"{archive}: holds the unsafe name '{name}': nothing was unpacked")
    return path


def unpack_inner(folder: Path, quiet: bool = False) -> None:
    """Unpack every tar archive inside `folder` beside itself and remove it (AISHELL has one a speaker)."""
    for inner in track(sorted(folder.rglob("*.tar.gz")), "unpacking inner archives", quiet=quiet):
        target = inner.with_name(inner.name.removesuffix(".tar.gz"))
        if not target.exists():
            unpack(inner, target, quiet=True)
        inner.unlink()
