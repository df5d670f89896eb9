"""Folders that are either old or new: written beside their target and moved there in one step."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import sys
from pathlib import Path

_AT_FDCWD = -100
_EXCHANGE = 2  # RENAME_EXCHANGE: both names exist before, between and after


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
