"""Read a folder of `transformers` (config.json, model.safetensors and what a family adds), without transformers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor

from ..base.errors import SecateurError
from ..models.checkpoint import WEIGHTS, stored_tensors
from ..models.family import LayoutReader, TextCodec, families
from ..models.network import Network
from .hub import VARIANTS
from .json_values import read_table

INDEX = f"{WEIGHTS}.index.json"
PIECE = re.compile(r"model(?:\.\w+)?-(\d+)-of-(\d+)\.safetensors")
PRUNED = "secateur-"  # before the type of a model with widths of its own (see `families.pruned`)


def weight_files(folder: Path) -> list[Path]:
    """The files that hold a model's weights: model.safetensors; the pieces that its index lists, or that their numbers
    count; or those of a variant (model.fp16.safetensors), the most precise first.

    Raises:
        SecateurError: none, an index that cannot be read, pieces that are missing, or variants of unknown names.
    """
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if (folder / INDEX).is_file():
        return _listed(folder / INDEX)
    there: dict[str, list[Path]] = {}
    for index in sorted(folder.glob(f"{INDEX.removesuffix('.json')}.*.json")):
        there[index.name.split(".")[-2]] = _listed(index)
    for path in sorted(folder.glob("model.*.safetensors")):
        if not PIECE.fullmatch(path.name):
            there.setdefault(path.name.split(".")[1], [path])
    for name in (*VARIANTS, *([*there] if len(there) == 1 else ())):
        if name in there:
            return there[name]
    if there:
        raise SecateurError(
            f"{folder}: weights under several names ({', '.join(there)}); copy those that you mean to {WEIGHTS}"
        )
    pieces = {int(match[1]): path for path in folder.glob("model-*") if (match := PIECE.fullmatch(path.name))}
    count = {int(match[2]) for path in pieces.values() if (match := PIECE.fullmatch(path.name))}
    if count and count != {len(pieces)}:
        raise SecateurError(f"{folder}: {len(pieces)} of {max(count)} pieces of its weights are here; fetch it again")
    return [pieces[number] for number in sorted(pieces)] or [folder / WEIGHTS]


def _listed(index: Path) -> list[Path]:
    listed = read_table(index).get("weight_map")
    if not isinstance(listed, dict) or not all(isinstance(v, str) and Path(v).name == v for v in listed.values()):
        raise SecateurError(f"{index}: no weight_map of file names inside")
    return [index.parent / piece for piece in sorted(set(listed.values()))]


def read_transformers(folder: str | Path, name: str | None = None) -> tuple[Network, TextCodec]:
    """The model of any family in a folder of `transformers`, as float32, and its text codec.

    Raises:
        SecateurError: not such a folder, a model type that no family reads, or weights that do not fit the config.
    """
    folder = Path(folder)
    layout_of(folder)  # first: another program's model may have other files, too
    return read_layout(folder, stored_tensors(*weight_files(folder)), name)


def read_layout(folder: Path, weights: Mapping[str, Tensor], name: str | None) -> tuple[Network, TextCodec]:
    """The same with `weights` by their names there, whatever files they come from.

    Raises:
        SecateurError: see `read_transformers`.
    """
    return layout_of(folder)(folder, weights, name)


def layout_of(folder: Path) -> LayoutReader:
    """What reads the model type that config.json names.

    Raises:
        SecateurError: no family reads it.
    """
    kind = str(read_table(folder / "config.json").get("model_type")).removeprefix(PRUNED)
    layouts = {known: reader for family in families() for known, reader in family.layouts.items()}
    if kind not in layouts:
        raise SecateurError(
            f"{folder / 'config.json'}: a model of type '{kind}' is not known here (known: {', '.join(layouts)})"
        )
    return layouts[kind]()


class Transformers:
    """See `models.family.Reader`."""

    kind = f"a folder with config.json + {WEIGHTS}"

    def recognises(self, path: Path) -> bool:
        """By the names of config and weights."""
        return (path / "config.json").is_file() and any(path.glob("model*.safetensors*"))

    def read(self, path: Path, name: str | None, fetch: Callable[[str], Path]) -> tuple[Network, TextCodec]:
        """See `read_transformers`."""
        return read_transformers(path, name)
