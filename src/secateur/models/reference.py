"""Model folders that refer to a model in another format, which is read where it is (no torch here)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..base.plugins import Lazy

REFERENCE = "reference.json"  # in the folder, in place of weights (see `weights.cache`)
# (folder) -> network and text codec: readers of other formats are in a later room
read_referred: Lazy[Any] = Lazy("secateur.weights.fetch:read_referred")


def is_reference(folder: Path) -> bool:
    """Whether `folder` refers to a model elsewhere."""
    return (folder / REFERENCE).is_file()
