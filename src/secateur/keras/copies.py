"""A Keras model built again from its config, with the classes and functions that the first one has."""

from __future__ import annotations

import copy
import inspect
import types
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from ..base.errors import SecateurError
from ..base.extras import require
from .causes import cause
from .layers.low_rank import same_scale

if TYPE_CHECKING:
    from keras import Layer, Model

Config = dict[str, Any]


def functional(model: Model) -> bool:
    """Whether calling a model runs through its graph of layers: it may be of any class that leaves `call` alone."""
    kinds = (require("keras", "keras").Sequential, _graph_class())
    return any(isinstance(model, kind) and type(model).call is kind.call for kind in kinds)


@lru_cache
def _graph_class() -> Any:
    """Keras' `Functional`, which has no public name."""
    keras = require("keras", "keras")
    inputs = keras.Input((1,))
    return type(keras.Model(inputs, inputs))


def described(model: Model, call: object = None) -> Config:
    """The model as Keras serializes it, so that every layer of its graph is in it.

    Of models of a graph whose class makes its layers itself, as those of KerasHub, it has the class's config too (see
    `regraphed`); a subclassed model is a resized one (see `resized`) that is called as `call` describes.

    Raises:
        SecateurError: a model or layer that gives no config.
    """
    keras = require("keras", "keras")
    try:
        whole = serialized(model)
        if not functional(model):
            from .resized import resized_config

            loadable(whole, model)
            return resized_config(whole, model.get_build_config(), call, model.name)
        if "layers" not in whole["config"]:
            from .regraphed import OWN, own_config

            view = keras.Model(*_nested(model), name=model.name, trainable=model.trainable)
            whole = {**serialized(view), OWN: own_config(model, whole)}
        entries = whole["config"]["layers"]
        layers = model.layers if isinstance(model, keras.Sequential) else model.operations
        for entry in entries:
            entry.setdefault("name", entry["config"].get("name"))
        for entry, layer in zip(entries[len(entries) - len(layers) :], layers, strict=True):
            entry["name"] = layer.name  # which the class may not have in its config
            if isinstance(layer, keras.Model) and functional(layer):
                entry.update(described(layer))
            elif isinstance(layer, keras.layers.Layer):
                loadable(entry, layer)
    except Exception as problem:  # whatever a get_config raises
        raise SecateurError(
            f"model '{model.name}' gives no config to build it again from: {cause(problem)}"
        ) from problem
    forget(whole)
    return dict(whole)


def forget(config: object) -> None:
    """Drop what says how layers were built: they are built again, maybe for other widths."""
    if isinstance(config, dict):
        for key in ("build_config", "build_input_shape", "compile_config"):
            config.pop(key, None)
        for value in config.values():
            forget(value)
    elif isinstance(config, list):
        for value in config:
            forget(value)


def serialized(layer: Layer) -> Config:
    """A layer or model as Keras serializes it; layers whose `get_config` raises give what they are made with."""
    keras = require("keras", "keras")
    silent = []
    for one in [layer, *layer._flatten_layers(include_self=False)]:
        problem = _silent(one)
        if problem and _plain(type(one)):
            silent.append(one)
            vars(one)["get_config"] = partial(made_with, one, {}, problem)
    try:
        return dict(keras.saving.serialize_keras_object(layer))
    finally:
        for one in silent:
            del vars(one)["get_config"]


def _silent(layer: Layer) -> Exception | None:
    """What the `get_config` of a layer raises."""
    try:
        if foreign(layer) and not functional(layer):
            layer.get_config()
    except Exception as problem:
        return problem
    return None


def foreign(layer: Layer) -> bool:
    """Whether a layer's class is none of Keras, and not resized either."""
    return type(layer).__module__.split(".")[0] != "keras" and not hasattr(layer, "_resized")


def made_with(layer: Layer, config: Config, problem: Exception | None = None) -> Config:
    """What a layer's `__init__` takes: as its `config` has it, as Keras noted it, or an attribute of the same name.

    Raises:
        Exception: `problem`, where something that it needs is nowhere.
    """
    keras = require("keras", "keras")
    noted = getattr(getattr(layer, "_auto_config", None), "config", {})
    config = {"name": layer.name, "trainable": layer.trainable, **config}
    config.setdefault("dtype", keras.dtype_policies.serialize(layer.dtype_policy))
    result: Config = {}
    kind: Any
    for kind in type(layer).__mro__:
        parameters = list(inspect.signature(kind.__init__).parameters.values())[1:]
        for one in parameters:
            if one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD):
                continue
            sources, own = [config, noted], kind is type(layer)
            if own:
                sources += [vars(layer), {name.lstrip("_"): value for name, value in vars(layer).items()}]
            values = [source[one.name] for source in sources if one.name in source]
            if values:
                result.setdefault(one.name, values[0])
            elif problem and own and one.default is one.empty:
                raise problem
        if kind.__module__.split(".")[0] == "keras" or not any(one.kind is one.VAR_KEYWORD for one in parameters):
            break
    return result


def loadable(entry: Config, layer: Layer) -> None:
    """A config that a layer's `__init__` does not take becomes one that it does, where that can be found.

    Keras writes `dtype` and more for all, and classes write what they derived, or leave settings out.
    """
    keras = require("keras", "keras")
    kind = type(layer)
    if not foreign(layer) or not _plain(kind):
        return
    scope = {kind.__name__: kind, keras.saving.get_registered_name(kind): kind}

    def loads(config: Config) -> bool:
        with suppress(Exception), keras.saving.custom_object_scope(scope):
            keras.saving.deserialize_keras_object({**entry, "config": copy.deepcopy(config), "build_config": None})
            return True
        return False

    if not _silent(layer) and loads(entry["config"]):
        return
    config = keras.saving.serialize_keras_object(made_with(layer, entry["config"]))
    if loads(config):
        from .resized import resized_config

        entry["config"] = config
        entry.update(resized_config({**entry}, layer.get_build_config(), name=layer.name))


def _plain(kind: type[Layer]) -> bool:
    """Whether a class leaves it to Keras to make it from its config."""
    return bool(kind.from_config.__module__.split(".")[0] == "keras")


def _nested(model: Model) -> tuple[Any, Any]:
    """Inputs and outputs as the model takes and gives them: those of a dictionary have their names."""
    return getattr(model, "_inputs_struct", model.inputs), getattr(model, "_outputs_struct", model.outputs)


def rebuilt(model: Model, description: Config) -> Model:
    """A new model from a description (a copy, which is changed), with weights of its own; of its class where it can.

    Layers of classes that are not registered with Keras, and functions such as those of a Lambda layer, are those of
    `model`: what a model in memory does needs no permission to be loaded.

    Raises:
        SecateurError: a layer that does not build itself again from its config.
    """
    keras = require("keras", "keras")
    own = {
        name: type(layer)
        for layer in model._flatten_layers()
        if type(layer).__module__.split(".")[0] != "keras"
        for name in (type(layer).__name__, keras.saving.get_registered_name(type(layer)))
        if not hasattr(layer, "_resized")
    }
    config = description["config"]
    _keep_functions(config, model, own)
    try:
        with keras.saving.custom_object_scope(own):
            if functional(model) and _in_several(model, description):
                from .regraphed import regraphed

                small = regraphed(model, description)
            elif functional(model):
                kind = type(model) if description["class_name"] == type(model).__name__ else keras.Model
                small = kind.from_config(config)
            else:
                from .resized import resized

                small = resized(config)
                small.build(None)
    except Exception as problem:  # whatever a layer's from_config raises
        raise SecateurError(
            f"model '{model.name}' cannot be built again from its config: {cause(problem)}"
        ) from problem
    if {id(v) for v in small.weights} != {id(new) for _, new in paired(model, small)}:
        raise SecateurError(
            f"model '{model.name}' built again has {len(small.weights)} variables, not the same {len(model.weights)}: "
            "Keras does not keep a layer that is in two nested models at once, or an activation with weights"
        )
    same_scale(model, small)
    if type(small) is type(model) and type(model) not in (keras.Sequential, _graph_class()):
        settings = {n: v for n, v in vars(model).items() if isinstance(v, bool | int | float | str) and n[0] != "_"}
        vars(small).update(settings)  # which a class may not have in its config
    return small


def _in_several(model: Model, description: Config) -> bool:
    """Whether the graph has to be run again: a class makes it, or a layer is in several graphs, which Keras' configs do
    not keep."""
    from .regraphed import OWN

    keras = require("keras", "keras")
    seen: set[int] = set()

    def again(graph: Any, config: Config) -> bool:
        if isinstance(graph, keras.Sequential):
            return False
        new = [layer for layer in graph.operations if isinstance(layer, keras.layers.Layer)]
        several = OWN in config or not seen.isdisjoint(map(id, new))
        seen.update(map(id, new))
        parts = zip(graph.operations, config["config"]["layers"], strict=True)
        return several or any(again(a, b) for a, b in parts if isinstance(a, keras.Model) and functional(a))

    return again(model, description)


def paired(model: Model, small: Model) -> list[tuple[Any, Any]]:
    """Every variable of a model, with the one in its place in a model that was built again from its description."""
    pairs = {id(old): (old, new) for old, new in _pairs(model, small)}
    return [pairs[id(variable)] for variable in model.weights if id(variable) in pairs]


def _pairs(old: Any, new: Any) -> Iterator[tuple[Any, Any]]:
    keras = require("keras", "keras")
    if isinstance(old, keras.Model) and functional(old):
        layers = {layer.name: layer for layer in new.layers}
        for number, layer in enumerate(old.layers):
            yield from _pairs(layer, layers.get(layer.name) or new.layers[number])
    elif [v.shape for v in old.weights] and len(old.weights) == len(new.weights):
        yield from zip(old.weights, new.weights, strict=True)


def settled(model: Model) -> Model:
    """The model, with what its layers derive from their weights derived again (Normalization has such a copy)."""
    for layer in model._flatten_layers(include_self=False):
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()
    return model


def _keep_functions(config: Any, owner: Any, own: dict[str, Any]) -> None:
    """Enter functions that a config can only describe (of Lambda layers, activations) into `own`, by new names where
    they have none."""
    keras = require("keras", "keras")
    if isinstance(config.get("layers"), list):
        layers = {layer.name: layer for layer in getattr(owner, "layers", ())}
        for one in config["layers"]:
            layer = layers.get(one.get("name"))
            if layer is not None:
                _keep_functions(one["config"], layer, own)
        return
    if "parts" in config:  # of a resized layer
        _keep_functions(config["layer"]["config"], owner, own)
        return
    for key, value in config.items():
        inner = getattr(owner, "forward_layer" if key == "layer" else key, None)
        inner = getattr(owner, "layer", None) if key == "layer" and inner is None else inner
        inner = getattr(owner, f"_{key}", None) if inner is None else inner
        if isinstance(inner, types.FunctionType) and inner.__module__.split(".")[0] != "keras":
            if keras.saving.get_registered_name(inner) != inner.__name__:
                continue  # Keras finds it by itself
            if inner.__name__ != "<lambda>" and own.setdefault(inner.__name__, inner) is inner:
                continue
            name = f"secateur_function_{len(own)}"
            own[name] = inner
            config[key] = {"class_name": "function", "config": name, "module": None, "registered_name": name}
        elif isinstance(value, dict) and isinstance(value.get("config"), dict) and inner is not None:
            _keep_functions(value["config"], inner, own)
