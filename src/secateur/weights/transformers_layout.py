"""Read a folder of `transformers` (config.json, model.safetensors and what a family adds), without transformers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from ..base.errors import SecateurError
from ..models.checkpoint import WEIGHTS, read_weights
from ..models.family import families
from .json_values import read_table

PRUNED = "secateur-"  # before the type of a model with widths of its own (see `families.pruned`)


def stored_weights(folder: Path) -> dict[str, Tensor]:
    """The tensors of model.safetensors, or of the pieces that model.safetensors.index.json lists.

    Raises:
        SecateurError: missing or damaged files.
    """
    index = folder / f"{WEIGHTS}.index.json"
    if (folder / WEIGHTS).is_file() or not index.is_file():
        return read_weights(folder / WEIGHTS)
    listed = read_table(index).get("weight_map")
    if not isinstance(listed, dict) or not all(isinstance(v, str) and Path(v).name == v for v in listed.values()):
        raise SecateurError(f"{index}: no weight_map of file names inside")
    state: dict[str, Tensor] = {}
    for piece in sorted(set(listed.values())):
        state |= read_weights(folder / piece)
    return state


def read_transformers(folder: str | Path, name: str | None = None) -> tuple[Any, Any]:
    """The model of any family in a folder of `transformers`, as float32, and its text codec.

    Raises:
        SecateurError: not such a folder, a model type that no family reads, or weights that do not fit the config.
    """
    folder = Path(folder)
    kind = str(read_table(folder / "config.json").get("model_type")).removeprefix(PRUNED)
    layouts = {known: reader for family in families() for known, reader in family.layouts.items()}
    if kind not in layouts:
        raise SecateurError(
            f"{folder / 'config.json'}: a model of type '{kind}' is not known here (known: {', '.join(layouts)})"
        )
    return layouts[kind]()(folder, stored_weights(folder), name)


class Transformers:
    """See `models.family.Reader`."""

    kind = f"a folder with config.json + {WEIGHTS}"

    def recognises(self, path: Path) -> bool:
        """By the names of config and weights."""
        return (path / "config.json").is_file() and any(path.glob(f"{WEIGHTS}*"))

    def read(self, path: Path, name: str | None, fetch: Callable[[str], Path]) -> tuple[Any, Any]:
        """See `read_transformers`."""
        return read_transformers(path, name)
