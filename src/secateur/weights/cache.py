"""Fetched checkpoints on this machine: where they are, and one process at a time that makes them (no torch here)."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.errors import SecateurError, nearest, several
from ..base.extras import require
from ..base.files import cache_dir, folder_bytes, read_json, write_json
from ..base.options import from_dict, to_dict
from ..base.progress import say
from ..models.family import TextCodec, families, family_of, write_config
from ..models.reference import REFERENCE, is_reference

if TYPE_CHECKING:
    from ..models.network import Network


LOCAL = "local-"  # begins the names of local models
CHECKPOINT_FILES = ("config.json", "model.safetensors")


def is_checkpoint(folder: Path) -> bool:
    """Whether `folder` is in our own format: its config says so. What refers to a model counts while that is there."""
    if is_reference(folder):
        if not (folder / "config.json").is_file() or not is_current(read_reference(folder)):
            return False
    elif not all((folder / name).is_file() for name in CHECKPOINT_FILES):
        return False
    values = read_json(folder / "config.json")
    if not isinstance(values, dict) or not ("family" in values or "format" in values):
        return False
    return any((folder / family.text_file).is_file() for family in families())


def cached(name: str, cache: Path | None = None) -> bool:
    """Whether a known model is already here."""
    return is_checkpoint(models_folder(cache) / name)


def models_folder(cache: Path | None = None) -> Path:
    """Where checkpoints are kept."""
    return (cache or cache_dir()) / "models"


def local_name(path: Path) -> str:
    """The cache's name for a local model in another format; it changes when one of its files does."""
    return f"{LOCAL}{path.resolve().name}-{state_of(path)[:12]}"


def make_once(target: Path, make: Callable[[Path], Path]) -> Path:
    """The checkpoint folder `target`: made by `make(scratch folder)`, which returns it finished, unless it is there.

    It is built beside `target` and renamed, while other processes that want the same one wait.

    Raises:
        SecateurError: whatever `make` raises, or the cache cannot be written.
    """
    if is_checkpoint(target):
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _alone(target):
            if is_checkpoint(target):
                return target
            # "~" is in no model's name, so that "tiny" does not clear what "tiny.en" is making.
            for leftover in target.parent.glob(f".{glob.escape(target.name)}~*"):  # left by a process that was killed
                shutil.rmtree(leftover, ignore_errors=True)
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}~") as scratch:
                ready = make(Path(scratch))
                shutil.rmtree(target, ignore_errors=True)
                ready.replace(target)
    except OSError as problem:
        raise SecateurError(
            f"{target}: cannot be written ({problem.strerror or problem}); set SECATEUR_CACHE to a folder with room"
        ) from problem
    return target


@contextlib.contextmanager
def _alone(target: Path, patience: float = 3600.0) -> Iterator[None]:
    """Hold the file lock of `target`; the system frees it when its holder dies."""
    filelock = require("filelock", "train")
    lock = filelock.FileLock(target.with_name(f".{target.name}.lock"))
    try:
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            say(f"waiting for another process that fetches {target.name}")
            lock.acquire(timeout=patience)
    except filelock.Timeout:
        raise SecateurError(f"another process has been fetching {target.name} for {patience / 60:.0f} min") from None
    try:
        yield
    finally:
        lock.release()


@dataclass(frozen=True)
class CachedModel:
    """A model in the cache."""

    name: str
    folder: Path
    bytes: int  # on the disk
    refers_to: str  # the model's own folder, of which nothing is copied; "": the weights are here
    usable: bool  # False: what it refers to is gone or has changed, or it is not whole


def entries(cache: Path | None = None) -> list[CachedModel]:
    """All models in the cache, by name."""
    folder = models_folder(cache)
    listed = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if not path.is_dir() or path.name.startswith("."):
            continue
        try:
            refers_to = read_reference(path).path if is_reference(path) else ""
            usable = is_checkpoint(path)
        except SecateurError:
            refers_to, usable = "", False
        listed.append(CachedModel(path.name, path, folder_bytes(path) or 0, refers_to, usable))
    return listed


def clean(names: Sequence[str] = (), everything: bool = False, cache: Path | None = None) -> list[CachedModel]:
    """Remove the models `names` from the cache, or `everything`; with neither, what cannot be used any more and copies
    of local models that earlier versions made. What was removed.

    Raises:
        SecateurError: a name that is not there, with the nearest.
    """
    there = {entry.name: entry for entry in entries(cache)}
    for name in several("clean", names):
        if name not in there:
            raise SecateurError(f"no '{name}' in the cache{nearest(name, there)}; see  secateur models cache list")
    old = [e for e in there.values() if not e.usable or (e.name.startswith(LOCAL) and not e.refers_to)]
    chosen = [there[name] for name in names] if names else [*there.values()] if everything else old
    for entry in chosen:
        with _alone(entry.folder):
            shutil.rmtree(entry.folder, ignore_errors=True)
    return chosen


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
