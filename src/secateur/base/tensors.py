"""safetensors files, written whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import SecateurError
from .extras import require
from .files import atomic_path


def write_tensors(path: str | Path, tensors: Mapping[str, Any], metadata: Mapping[str, str]) -> None:
    """Write torch tensors (contiguous, on the CPU) to `path` atomically.

    Raises:
        SecateurError: the disk is full, or the folder cannot be written.
    """
    library = require("safetensors.torch", "train")
    failed = require("safetensors", "train").SafetensorError
    with atomic_path(path) as temporary:
        try:
            library.save_file(dict(tensors), temporary, metadata=dict(metadata))
        except failed as problem:  # its own type, also when the disk is full
            raise SecateurError(f"{path}: writing failed ({problem})") from problem
