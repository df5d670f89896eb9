"""Entries of the cache that refer to a model where it is: its config and text codec, and no copy of its weights."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.errors import SecateurError
from ..base.files import read_json, write_json
from ..base.options import from_dict, to_dict
from ..models.family import TextCodec, family_of, write_config
from ..models.reference import REFERENCE

if TYPE_CHECKING:  # `models list` needs no torch
    from ..models.network import Network


@dataclass(frozen=True)
class Reference:
    """What `REFERENCE` in a folder of the cache says."""

    path: str  # the folder or file of the model
    name: str  # of the model, where it is not the folder's own
    state: str  # of its files, when this was written


def state_of(path: Path) -> str:
    """A fingerprint of a folder's files, or a file: names, sizes and times; the folder's place counts too."""
    files = [path] if path.is_file() else sorted(f for f in path.iterdir() if f.is_file())
    states = [str(path.resolve()), *(f"{f.name} {f.stat().st_size} {f.stat().st_mtime_ns}" for f in files)]
    return hashlib.sha256("\n".join(states).encode()).hexdigest()


def write_reference(folder: Path, path: Path, name: str | None, model: Network, text: TextCodec) -> Path:
    """Write the entry for the model at `path` to `folder`."""
    reference = Reference(str(path.resolve()), name or "", state_of(path))
    text.write(folder / family_of(model.config).text_file)
    write_json(folder / REFERENCE, to_dict(reference))
    write_config(folder / "config.json", model.config)
    return folder


def read_reference(folder: Path) -> Reference:
    """What the entry `folder` refers to.

    Raises:
        SecateurError: not such a file.
    """
    return from_dict(Reference, read_json(folder / REFERENCE), str(folder / REFERENCE))


def is_current(reference: Reference) -> bool:
    """Whether the model is where it was, and the same."""
    path = Path(reference.path)
    try:
        return path.exists() and state_of(path) == reference.state
    except OSError:
        return False


def source_of(folder: Path) -> tuple[Path, str | None]:
    """Path and name of the model that the entry `folder` refers to.

    Raises:
        SecateurError: it is gone, or has changed.
    """
    reference = read_reference(folder)
    if not is_current(reference):
        state = "has changed" if Path(reference.path).exists() else "is gone"
        raise SecateurError(
            f"{reference.path}: the model that {folder.name} in the cache refers to {state}; name it again"
        )
    return Path(reference.path), reference.name or None
