"""Folders that are either old or new: made beside their place and moved there in one step."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import sys
from pathlib import Path

_HERE = -100  # AT_FDCWD
_EXCHANGE = 2  # RENAME_EXCHANGE: both names exist before, between and after


def put_in_place(made: Path, target: Path) -> None:
    """Move the finished folder `made` to `target`, in whose place another folder may be: that one is removed.

    Killed at any moment, `target` is the old folder or the new one. Where the system cannot exchange two names, there
    is a moment without either; the old one then lies beside it, under a name that starts with a dot.

    Raises:
        OSError: the place cannot be written.
    """
    if not target.exists():
        made.rename(target)
    elif exchange(made, target):
        shutil.rmtree(made, ignore_errors=True)
    else:
        old = made.with_suffix(".old")
        target.rename(old)
        try:
            made.rename(target)
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
    return bool(rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0)


def clear_temporaries(folder: Path) -> None:
    """Remove what a killed process left half written in its own `folder` and the folders in it.

    Only for folders that one job at a time writes to: the temporaries of another one would go as well.
    """
    for left in folder.glob("**/.*.tmp"):
        with contextlib.suppress(OSError):
            shutil.rmtree(left) if left.is_dir() else left.unlink()


def folder_bytes(folder: Path) -> int | None:
    """Bytes of the files in a model's folder, those of folders in it left out; None where there is no such folder."""
    return sum(f.stat().st_size for f in folder.iterdir() if f.is_file()) if folder.is_dir() else None
