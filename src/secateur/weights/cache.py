"""Fetched checkpoints on this machine: where they are, and one process at a time that makes them (no torch here)."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from ..base.errors import SecateurError
from ..base.extras import require
from ..base.files import cache_dir, read_json
from ..base.progress import say
from ..models.family import families

CHECKPOINT_FILES = ("config.json", "model.safetensors")


def is_checkpoint(folder: Path) -> bool:
    """Whether `folder` is in our own format: its config says so."""
    if not all((folder / name).is_file() for name in CHECKPOINT_FILES):
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
    """The cache's name for a converted local model; it changes when one of its files does."""
    files = [path] if path.is_file() else sorted(f for f in path.iterdir() if f.is_file())
    states = [str(path.resolve()), *(f"{f.name} {f.stat().st_size} {f.stat().st_mtime_ns}" for f in files)]
    return f"local-{path.resolve().name}-{hashlib.sha256(chr(10).join(states).encode()).hexdigest()[:12]}"


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
