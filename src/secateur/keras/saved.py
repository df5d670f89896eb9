"""Saved Keras models, of plain layers and of what `prune` made of others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.errors import SecateurError
from ..base.extras import require
from .causes import cause

if TYPE_CHECKING:
    from keras import Model


def load(path: str | Path, custom_objects: Mapping[str, object] | None = None) -> Model:
    """A saved model, with what `prune` made of layers of other classes; not compiled.

    Keras' own `load_model` reads it too where `secateur.keras` was imported after Keras.
    """
    keras = require("keras", "keras")
    from . import regraphed  # noqa: F401 (Keras learns the name)

    return keras.saving.load_model(path, compile=False, custom_objects=custom_objects)


def read_model(path: Path, compiled: bool = False) -> Model:
    """A saved model, of plain layers and of what `prune` made of others; `compiled` as it was saved.

    Raises:
        SecateurError: no such file, or one that Keras does not read here (with what it said).
    """
    if not path.exists():
        raise SecateurError(f"{path}: no such file")
    keras = require("keras", "keras")
    from . import regraphed  # noqa: F401 (Keras learns the name)

    try:
        return keras.saving.load_model(path, compile=compiled)
    except Exception as problem:  # of Keras, zip files, HDF5, and whatever a class raises
        raise SecateurError(f"{path}: Keras cannot load it: {cause(problem)}") from problem
