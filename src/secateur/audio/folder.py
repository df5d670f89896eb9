"""The recordings in a folder, by their endings."""

from __future__ import annotations

from pathlib import Path

from ..base.errors import SecateurError
from .files.kinds import SUFFIXES

__all__ = ["SUFFIXES", "audio_files"]


def audio_files(folder: str | Path) -> list[Path]:
    """All recordings below `folder`, sorted.

    Raises:
        SecateurError: there are none.
    """
    paths = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not paths:
        raise SecateurError(f"{folder}: no audio files in this folder (known: {' '.join(sorted(SUFFIXES))})")
    return paths
