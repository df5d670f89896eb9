"""How it is removed from a Keras model: a new model from an edited config, with the weights that stay."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from ..base.errors import SecateurError
from ..base.extras import require
from .channels import Edit
from .copies import rebuilt, settled
from .structure import Structure


def shrunk_model(model: Any, structure: Structure) -> Any:
    """A plain Keras model with only the channels that are alive; not compiled.

    Raises:
        SecateurError: a model whose config does not build it again (an unregistered class, a shared inner layer).
    """
    alive, config = structure.alive, edited(model, structure)
    small = rebuilt(model, config)
    for old, new in zip(model.weights, small.weights, strict=True):
        use = structure.channels.uses[structure.channels.names[id(old)]]
        values = _numpy(old)
        for dim, ids in use.dims.items():
            values = values.compress(alive[ids], axis=dim)
        if use.scaled is not None:
            values = values * np.sqrt(alive[use.scaled].mean()).astype(values.dtype)
        if values.shape != tuple(new.shape):
            raise SecateurError(f"{old.path}: {values.shape} are left, but the new layer has {tuple(new.shape)}")
        new.assign(values)
    return settled(small)


def edited(model: Any, structure: Structure) -> dict[str, Any]:
    """The model's config with the widths that are left."""
    config: dict[str, Any] = copy.deepcopy(model.get_config())
    _forget(config)
    for edit in structure.channels.edits.values():
        _write(config, edit, int(structure.alive[edit.ids].sum()))
    return config


def _write(config: dict[str, Any], edit: Edit, kept: int) -> None:
    """One number of one layer."""
    for name in edit.path:
        if name.startswith("@"):
            config = config[name[1:]]["config"]
        else:
            config = next(layer["config"] for layer in config["layers"] if layer["config"].get("name") == name)
    if edit.axis is None:
        config[edit.key] = kept
    else:
        sizes = config[edit.key]
        sizes = sizes["items"] if isinstance(sizes, dict) else sizes  # a tuple, as Keras writes it
        config[edit.key] = [kept if axis == edit.axis else size for axis, size in enumerate(sizes)]


def _forget(config: Any) -> None:
    """Drop what says how layers were built: they are built again, for other widths."""
    if isinstance(config, dict):
        for key in ("build_config", "build_input_shape", "compile_config"):
            config.pop(key, None)
        for value in config.values():
            _forget(value)
    elif isinstance(config, list):
        for value in config:
            _forget(value)


def _numpy(variable: Any) -> Any:
    return require("keras", "keras").ops.convert_to_numpy(variable)
