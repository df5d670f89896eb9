"""Models whose classes make their own graphs, such as the backbones and tasks of KerasHub, with other layers in them.

Such a model keeps its class, what that class holds (a preprocessor, lists of its layers) and its methods. In a saved
model it is a `secateur>Regraphed`: the model as its class makes it, and the layers of its graph as they are now. To
load it, import `secateur.keras` and the model's package first.
"""

from __future__ import annotations

import copy
import inspect
import warnings
from contextlib import suppress
from functools import lru_cache
from typing import Any

import keras

from ..base.errors import SecateurError
from .causes import cause
from .resized import addresses_of, at, replace, saved_class

NAME = "Regraphed"
OWN = "own"  # in the description of a graph: the model as its class makes it
Config = dict[str, Any]


def own_config(model: Any, whole: Config) -> Config:
    """What a model's class makes it again from, where Keras serializes the model as `whole`."""
    return dict(model._regraphed[OWN] if hasattr(model, "_regraphed") else whole)


def regraphed(base: Any, description: Config, made: dict[int, Any] | None = None) -> Any:
    """The graph of `base` again, with layers and variables of its own, which the description has in the same order.

    `made` has what was made for each layer, by `id`, so that a layer in several graphs stays one. Where `description`
    has `OWN`, the model gets the class of `base` and what `base` holds beside its graph.

    Raises:
        SecateurError: another graph than the one that was described.
    """
    made = {} if made is None else made
    entries, operations = description["config"]["layers"], base.operations
    if len(entries) != len(operations):
        raise SecateurError(f"model '{base.name}' has {len(operations)} layers, but its config {len(entries)}")
    for old, entry in zip(operations, entries, strict=True):
        if id(old) in made:
            continue
        if hasattr(old, "_nodes_by_depth") and "layers" in entry["config"]:
            made[id(old)] = regraphed(old, entry, made)
        else:
            made[id(old)] = keras.saving.deserialize_keras_object(entry)
            _share(old, made[id(old)], made)
    inputs = keras.tree.map_structure(lambda one: made[id(one._keras_history.operation)].output, base._inputs_struct)
    outputs = base._run_through_graph(inputs, operation_fn=lambda one: made[id(one)])
    kind = type(base) if description["class_name"] == type(base).__name__ and OWN not in description else keras.Model
    model = kind(inputs, outputs, name=base.name)
    model._trainable = base._trainable
    if OWN in description:
        _hold(model, base, description, made)
    return model


def _share(old: Any, new: Any, made: dict[int, Any]) -> None:
    """Layers inside a layer: those that were made elsewhere, such as a tied embedding, take the place of its own."""
    for inner, where in addresses_of(old).items():
        with suppress(AttributeError, KeyError, IndexError):  # of a class that holds other parts now
            if inner in made and hasattr(made[inner], "weights"):
                replace(new, where, made[inner])
            made.setdefault(inner, at(new, where))


def _hold(model: Any, base: Any, description: Config, made: dict[int, Any]) -> None:
    """The class of `base` for `model`, and what `base` holds, with what was made in the place of its layers."""
    held = {**vars(base), **(vars(base).get("_modules") or {})}
    kept = {*vars(model), *(vars(model).get("_modules") or {}), *_compiled()}
    model.__class__ = saved_class(_Regraphed, _class(base), NAME)
    for name, value in held.items():
        if isinstance(value, keras.metrics.Metric) and name not in kept:
            setattr(model, name, type(value).from_config(value.get_config()))
        elif name not in kept:
            vars(model)[name] = _swapped(value, made)  # Keras tracks the graph's layers already
    vars(model).update(_regraphed=description, _dtype_policy=base._dtype_policy)
    if hasattr(model, "_functional_layer_ids"):  # of KerasHub
        vars(model)["_functional_layer_ids"] = {id(layer) for layer in model._flatten_layers()}


def _class(model: Any) -> Any:
    """The class that made a model's graph first."""
    return next(one for one in type(model).__mro__ if not issubclass(one, _Regraphed))


@lru_cache
def _compiled() -> frozenset[str]:
    """Attributes that `compile` gives a model."""
    inputs = keras.Input((1,))
    model = keras.Model(inputs, inputs)
    model.compile("sgd", "mse")
    return frozenset(vars(model))


def _swapped(value: Any, made: dict[int, Any]) -> Any:
    if id(value) in made:
        return made[id(value)]
    if isinstance(value, list | tuple) and type(value).__name__ in ("list", "tuple", "TrackedList"):
        changed = [_swapped(one, made) for one in value]
        return tuple(changed) if isinstance(value, tuple) else changed
    if isinstance(value, dict):
        return {name: _swapped(one, made) for name, one in value.items()}
    return value


def compile_as(model: Any, config: Config, like: Any = None) -> None:
    """Compile a model whose `compile` is its own with what Keras noted of another one's, and the attributes that `like`
    has by the names of its other parameters (the sampler of a language model)."""
    settings = dict(keras.saving.deserialize_keras_object(config))
    parameters = inspect.signature(type(model).compile).parameters
    if not any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
        settings = {name: value for name, value in settings.items() if name in parameters}
    missing = [name for name in parameters if name not in settings and hasattr(like, name)]
    model.compile(**settings, **{name: getattr(like, name) for name in missing})
    if getattr(model, "optimizer", None) is not None and model.built:
        model.optimizer.build(model.trainable_variables)


class _Regraphed:
    """What such a model does otherwise than its class."""

    _regraphed: Config

    def get_config(self) -> Config:
        return {"graph": self._regraphed}

    def compile_from_config(self, config: Config) -> None:
        compile_as(self, config)

    @classmethod
    def from_config(cls, config: Config, custom_objects: object = None) -> Any:
        description = copy.deepcopy(config["graph"])
        try:
            base = keras.saving.deserialize_keras_object(copy.deepcopy(description[OWN]))
        except Exception as problem:  # a class that is not registered, or that no config makes again
            name = description[OWN]["class_name"]
            warnings.warn(f"a plain model instead of one of class '{name}': {cause(problem)}", stacklevel=2)
            return keras.Model.from_config(description["config"])
        model = regraphed(base, description)
        if getattr(base, "compiled", False):  # by its class, as KerasHub's tasks are
            model.compile()
        return model


saved_class(_Regraphed, keras.Model, NAME)  # so that Keras knows the name
