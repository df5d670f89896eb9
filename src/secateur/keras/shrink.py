"""How it is removed from a Keras model: a new model from an edited config, with the weights that stay."""

from __future__ import annotations

import copy
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base.errors import SecateurError
from ..base.extras import require
from .causes import cause
from .channels import Edit, readable
from .copies import Config, described, forget, functional, loadable, paired, rebuilt, serialized, settled
from .masks import apply, masks_of
from .structure import Structure

if TYPE_CHECKING:
    from keras import Model, Variable


def recompiled(model: Model, small: Model, structure: Structure | None = None) -> Model:
    """`small`, compiled like `model` where that is compiled; a warning where its losses or metrics give no config.

    Without a `structure` both have the same shapes.
    """
    if not getattr(model, "compiled", False):
        return small
    keras = require("keras", "keras")
    try:
        config = model.get_compile_config()
        if type(small).compile is keras.Model.compile:
            small.compile_from_config(config)
        else:
            from .regraphed import compile_as

            compile_as(small, config, model)
    except Exception as problem:  # whatever a loss of one's own raises
        warnings.warn(f"the pruned model is not compiled: {cause(problem)}", stacklevel=3)
        return small
    optimizer = getattr(small, "optimizer", None)
    if optimizer is None or not getattr(model.optimizer, "built", False):
        return small
    optimizer.build(small.trainable_variables)
    _moments(keras, model, small, structure)
    return small


def _moments(keras: Any, model: Model, small: Model, structure: Structure | None) -> None:
    """Every variable of the optimizer by the name that it has from the weight it belongs to."""
    fresh = {variable.name: variable for variable in small.optimizer.variables}
    pairs = sorted(paired(model, small), key=lambda pair: -len(pair[0].path))
    for old in model.optimizer.variables:
        values = np.asarray(keras.ops.convert_to_numpy(old))
        owner = next((pair for pair in pairs if old.name.startswith(_named(pair[0]) + "_")), None)
        if owner is None:
            new = fresh.get(old.name)
        else:
            new = fresh.get(_named(owner[1]) + old.name[len(_named(owner[0])) :])
            if structure is not None and values.shape == tuple(owner[0].shape):
                use = structure.channels.uses[structure.channels.names[id(owner[0])]]
                for dim, ids in use.dims.items():
                    values = values.compress(structure.alive[ids], axis=dim)
        if new is not None and tuple(new.shape) == values.shape:
            new.assign(values)


def _named(variable: Variable) -> str:
    """As optimizers name what belongs to a variable."""
    return str(variable.path).replace("/", "_")


def shrunk_model(model: Model, structure: Structure) -> Model:
    """A plain Keras model with only the channels that are alive; not compiled.

    Raises:
        SecateurError: a model whose config does not build it again (an unregistered class, a shared inner layer).
    """
    alive = structure.alive
    small = rebuilt(model, edited(model, structure))
    for old, new in paired(model, small):
        use = structure.channels.uses[structure.channels.names[id(old)]]
        values = _numpy(old)
        for dim, ids in use.dims.items():
            values = values.compress(alive[ids], axis=dim)
        if use.scaled is not None:
            values = values * np.sqrt(alive[use.scaled].mean()).astype(values.dtype)
        if values.shape != tuple(new.shape):
            raise SecateurError(f"{old.path}: {values.shape} are left, but the new layer has {tuple(new.shape)}")
        new.assign(values)
    settled(small)
    if any(hasattr(layer, "_resized") or type(layer).__name__ == "Lambda" for layer in small._flatten_layers()):
        _verify(model, small, structure)
    return small


def _verify(model: Model, small: Model, structure: Structure) -> None:
    """Code may go by how many units there are; then the smaller model does not compute what the masked one does.

    Raises:
        SecateurError: it does.
    """
    from .random_runs import NEAR, outputs_of

    net = structure.channels
    sizes = {group.name: group.units for group in structure.groups}
    masks = masks_of(structure, {g: sorted({*range(sizes[g])} - {*units}) for g, units in structure.removed.items()})
    before = {name: _numpy(net.uses[name].variable).copy() for name in masks}
    convert = require("keras", "keras").ops.convert_to_tensor
    variables = {name: net.uses[name].variable for name in masks}
    try:
        apply(variables, {name: convert(mask, variables[name].dtype) for name, mask in masks.items()})
        pairs = zip(*outputs_of(structure.call, model, small), strict=True)
    finally:
        for name, value in before.items():
            variables[name].assign(value)
    if not all(a.shape == b.shape and np.allclose(a, b, NEAR, NEAR, equal_nan=True) for a, b in pairs):
        names = sorted({readable(path) for path in net.own if path})
        code = ", ".join(map(repr, names)) or "the model"
        raise SecateurError(
            f"the code of {code} computes something else where it has fewer units: "
            f"exclude={names} leaves it whole, mode='mask' masks without shrinking"
        )


def edited(model: Model, structure: Structure) -> Config:
    """The model's description with the widths that are left."""
    from .resized import resized_config

    whole: Config = copy.deepcopy(described(model, structure.call))
    net = structure.channels
    for path, layer in net.misstated.items():
        if type(layer).__module__.split(".")[0] != "keras":  # a resized layer's shapes are those that it computes
            entry = _located(whole, path)
            entry.update(resized_config({**entry}, layer.get_build_config(), name=layer.name))
    for path in sorted(net.own, key=len):
        _resize(whole, path, structure)
    for edit in net.edits.values():
        kept = int(structure.alive[edit.ids].sum())
        if kept < len(edit.ids):
            _write(_located(whole, edit.path), edit, kept)
        elif edit.key == "output_shape":  # unless given, attention's is as wide as its query, which may be narrower now
            with suppress(KeyError):  # a part of a layer of another class that stays as it is
                entry = _located(whole, edit.path)
                if entry["config"][edit.key] is None:
                    _write(entry, edit, kept)
    return whole


def _resize(whole: Config, path: tuple[str, ...], structure: Structure) -> None:
    """What a layer of another class holds in other sizes becomes part of its config, where any of it does."""
    layer, parts = structure.channels.own[path]
    keras = require("keras", "keras")
    smaller = [variable for variable in layer.weights if structure.smaller(variable)]
    if not smaller:
        return
    from .resized import resized_config, weights_of

    entry = _located(whole, path)
    entry.update(resized_config({**entry}, layer.get_build_config(), name=layer.name))
    config = entry["config"]
    for address, part in parts.items():
        if any(structure.smaller(variable) for variable in part.weights):
            if isinstance(part, keras.Model) and functional(part):
                config["parts"][address] = described(part)
            else:
                try:
                    config["parts"][address] = serialized(part)
                except Exception as problem:  # whatever its get_config raises
                    raise SecateurError(
                        f"model '{part.name}' gives no config to build it again from: {cause(problem)}"
                    ) from problem
                loadable(config["parts"][address], part)
            forget(config["parts"][address])
    for address, variable in weights_of(layer).items():
        if structure.smaller(variable):
            config["weights"][address] = structure.shape_of(variable)


def _located(whole: Config, path: tuple[str, ...]) -> Config:
    """The serialized layer at a path of a serialized model."""
    for name in path:
        config = whole["config"]
        if name.startswith("@"):
            key, _, number = name[1:].partition("[")
            whole = config[key][int(number[:-1])] if number else config[key]
        elif name.startswith("."):
            whole = config["parts"][name[1:]]
        else:
            whole = next(layer for layer in config["layers"] if layer["name"] == name)
    return whole


def _write(entry: Config, edit: Edit, kept: int) -> None:
    """One number of one layer."""
    config = entry["config"]
    if edit.axis is None:
        config[edit.key] = kept
    else:
        sizes = config[edit.key]
        sizes = sizes["items"] if isinstance(sizes, dict) else sizes  # a tuple, as Keras writes it
        config[edit.key] = [kept if axis == edit.axis else size for axis, size in enumerate(sizes)]


def _numpy(variable: Variable) -> Any:
    return require("keras", "keras").ops.convert_to_numpy(variable)
