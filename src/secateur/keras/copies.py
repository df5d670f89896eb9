"""A Keras model built again from its config, with the classes and functions that the first one has."""

from __future__ import annotations

import types
from typing import Any

from ..base.errors import SecateurError
from ..base.extras import require


def rebuilt(model: Any, config: dict[str, Any]) -> Any:
    """A new model of the same class from a config (a copy, which is changed), with weights of its own.

    Layers of classes that are not registered with Keras, and functions such as those of a Lambda layer, are those of
    `model`: what a model in memory does needs no permission to be loaded.

    Raises:
        SecateurError: a layer that does not build itself again from its config.
    """
    keras = require("keras", "keras")
    own = {
        name: type(layer) for layer in model._flatten_layers() if type(layer).__module__.split(".")[0] != "keras"
        for name in (type(layer).__name__, keras.saving.get_registered_name(type(layer)))
    }  # fmt: skip
    _keep_functions(config, model, own)
    try:
        with keras.saving.custom_object_scope(own):
            small = type(model).from_config(config)
    except Exception as problem:  # whatever a layer's from_config raises
        line = (str(problem).strip().splitlines() or [type(problem).__name__])[0][:300]
        raise SecateurError(f"model '{model.name}' cannot be built again from its config: {line}") from problem
    if [variable.name for variable in small.weights] != [variable.name for variable in model.weights]:
        raise SecateurError(
            f"model '{model.name}' built again has {len(small.weights)} variables, not the same {len(model.weights)}: "
            "Keras does not keep a layer that is in two nested models at once, or an activation with weights"
        )
    return small


def settled(model: Any) -> Any:
    """The model, with what its layers derive from their weights derived again (Normalization has such a copy)."""
    for layer in model._flatten_layers(include_self=False):
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()
    return model


def _keep_functions(config: Any, owner: Any, own: dict[str, Any]) -> None:
    """Enter functions that a config can only describe (of Lambda layers, activations) into `own`, by new names."""
    if isinstance(config.get("layers"), list):
        layers = {layer.name: layer for layer in getattr(owner, "layers", ())}
        for one in config["layers"]:
            layer = layers.get(one["config"].get("name"))
            if layer is not None:
                _keep_functions(one["config"], layer, own)
        return
    for key, value in config.items():
        inner = getattr(owner, "forward_layer" if key == "layer" else key, None)
        inner = getattr(owner, "layer", None) if key == "layer" and inner is None else inner
        inner = getattr(owner, f"_{key}", None) if inner is None else inner
        if isinstance(inner, types.FunctionType) and inner.__module__.split(".")[0] != "keras":
            name = f"secateur_function_{len(own)}"
            own[name] = inner
            config[key] = {"class_name": "function", "config": name, "module": None, "registered_name": name}
        elif isinstance(value, dict) and isinstance(value.get("config"), dict) and inner is not None:
            _keep_functions(value["config"], inner, own)
