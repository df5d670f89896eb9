"""Layers of other classes with some of their inner layers and variables in other sizes, as a config that Keras saves.

Such a layer keeps its class and its code. In a saved model it is a `secateur>Resized`: the layer as it was, the inner
layers that take the place of those that it makes, and the shapes of its own variables. To load it, import
`secateur.keras` and the layer's class first.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

import keras

from ..base.errors import SecateurError
from .specs import symbolic
from .tracing import variables_of

if TYPE_CHECKING:
    from keras import Layer

NAME = "Resized"
REGISTERED = f"secateur>{NAME}"
Config = dict[str, Any]


def resized_config(layer: Config, shapes: object, call: object = None, name: str | None = None) -> Config:
    """The serialized layer `layer`, ready for `parts` (address to serialized layer) and `weights` (address to shape).

    `shapes` are what it was built for (`get_build_config`); a model has the description of its inputs as `call`.
    """
    if layer["registered_name"] == REGISTERED:
        layer["config"]["call"] = call or layer["config"]["call"]
        return layer
    layer.pop("build_config", None)
    config = {"name": name or layer["config"].get("name"), "layer": layer, "parts": {}, "weights": {}}
    config |= {"shapes": shapes, "call": call}
    return {"module": None, "class_name": NAME, "config": config, "registered_name": REGISTERED}


def addresses_of(owner: object) -> dict[int, str]:
    """Where the layers inside a layer are, by `id`: "norm", "blocks[1]", "block.dense"; the first place of each."""
    result: dict[int, str] = {}
    queue = [("", owner)]
    for prefix, holder in queue:
        for name, value in _attributes(holder):
            for address, one in _entries(name, value):
                if id(one) not in result and one is not owner:
                    result[id(one)] = prefix + address
                    if not hasattr(one, "_nodes_by_depth") and not type(one).__module__.startswith("keras."):
                        queue.append((f"{prefix}{address}.", one))
    return result


def _attributes(holder: object) -> Iterator[tuple[str, Any]]:
    """Public and private attributes that may hold layers; PyTorch keeps them in a place of its own."""
    for name, value in [*vars(holder).items(), *(vars(holder).get("_modules") or {}).items()]:
        if "_unconditional_" not in name and name not in (
            "_layers",
            "_metrics",
            "_tracker",
            "_modules",
            "_operations",
            "_loss_tracker",
        ):
            yield name, value


def _entries(name: str, value: object) -> Iterator[tuple[str, Any]]:
    if isinstance(value, keras.layers.Layer):
        yield name, value
    elif isinstance(value, list | tuple | dict):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(key, int | str):
                yield from _entries(f"{name}[{key}]", one)


def at(owner: Any, address: str) -> Any:
    """What is at an address of `addresses_of`."""
    for step in address.split(".") if address else ():
        owner = _step(owner, step)
    return owner


def _step(owner: object, step: str) -> Any:
    name, *keys = re.findall(r"[^\[\]]+", step)
    value = getattr(owner, name)
    for key in keys:
        value = _item(value, key)
    return value


def _item(value: Any, key: str) -> Any:
    return value[key] if isinstance(value, dict) and key in value else value[int(key)]


def replace(owner: Any, address: str, new: Any) -> None:
    """Put `new` where `address` is, everywhere in the layer that has it, at the same place among its state."""
    above, _, last = address.rpartition(".")
    owner = at(owner, above)
    old = _step(owner, last)
    for name, (_, kept) in owner._tracker.config.items():
        if any(one is old for one in kept):
            kept[:] = [new if one is old else one for one in kept if one is not new]
            ids = owner._tracker.stored_ids[name]
            ids.discard(id(old))
            ids.add(id(new))
    for name, value in list(_attributes(owner)):
        if value is old:
            setattr(owner, name, new)
        elif isinstance(value, list | tuple | dict):
            changed = _swapped(value, old, new)
            if changed is not value:
                vars(owner)[name] = changed


def _swapped(value: object, old: object, new: object) -> Any:
    """A nested list, tuple or dictionary with `new` for `old`; lists and dictionaries change in place."""
    if value is old:
        return new
    if isinstance(value, tuple):
        changed = [_swapped(one, old, new) for one in value]
        same = all(a is b for a, b in zip(changed, value, strict=True))
        return value if same else tuple(changed)
    if isinstance(value, list):
        for n, one in enumerate(value):
            list.__setitem__(value, n, _swapped(one, old, new))
    elif isinstance(value, dict):
        put = dict.__setitem__ if issubclass(type(value), dict) else type(value).__setitem__  # TensorFlow wraps some
        for key, one in value.items():
            changed = _swapped(one, old, new)
            if changed is not one:
                put(value, key, changed)
    return value


def _resize(layer: Layer, config: Config) -> None:
    """Put the parts and variables of `config` into a layer that has made its own."""
    for address, part in config["parts"].items():
        replace(layer, address, keras.saving.deserialize_keras_object(part))
    own = weights_of(layer)
    for address, shape in config["weights"].items():
        old = own[address]
        new = layer.add_weight(
            shape=tuple(shape), initializer="zeros", dtype=old.dtype, trainable=old.trainable, name=old.name,
            regularizer=old.regularizer, constraint=old.constraint,
        )  # fmt: skip
        replace(layer, address, new)
    layer.input_spec = None  # of the width that it was built for


def weights_of(layer: Layer) -> dict[str, Any]:
    """A layer's own variables by address."""
    return {_address(layer, holder, key): one for holder, key, one in variables_of(layer)}


def _address(layer: Layer, holder: object, key: object) -> str:
    if holder is vars(layer):
        return str(key)
    return next(f"{name}[{key}]" for name, value in vars(layer).items() if value is holder)


class _Resized:
    """What a resized layer does otherwise than its class."""

    _resized: Config

    def get_config(self) -> Config:
        return self._resized

    def get_build_config(self) -> Config | None:
        return {"input_shape": None} if self._resized["call"] else None  # layers are built by the graph they are in

    def build_from_config(self, config: Config) -> None:
        self.build(None)  # type: ignore[attr-defined]

    def compute_output_spec(self, *args: object, **kwargs: object) -> Any:
        def dense(value: Any) -> Any:  # on JAX and TensorFlow, a product with a number is stated as sparse
            return keras.KerasTensor(value.shape, value.dtype) if getattr(value, "sparse", False) else value

        args, kwargs = keras.tree.map_structure(dense, (args, kwargs))
        return keras.Operation.compute_output_spec(self, *args, **kwargs)  # the class may go by its old width

    @classmethod
    def from_config(cls, config: Config, custom_objects: object = None) -> Any:
        return resized(config)


def resized(config: Config) -> Any:
    """The layer of a config that `resized_config` began.

    Raises:
        SecateurError: the layer makes other parts than when the config was written.
    """
    layer = keras.saving.deserialize_keras_object(copy.deepcopy(config["layer"]))
    whole = layer.build
    layer.name = config["name"]

    def build(input_shape: object = None) -> None:
        if not layer.built and not getattr(whole, "_is_default", False):
            shapes = config["shapes"] or {"input_shape": input_shape}
            if "shapes_dict" in shapes:
                whole(**{name: _tuples(shape) for name, shape in shapes["shapes_dict"].items()})
            else:
                whole(_tuples(shapes["input_shape"]))
        locked = layer._tracker.locked
        layer._tracker.unlock()
        try:
            _resize(layer, copy.deepcopy(config))
        except (AttributeError, KeyError, IndexError) as problem:
            raise SecateurError(f"layer '{layer.name}' has no {problem} to resize: its class has changed") from problem
        layer._tracker.locked = locked
        layer.built = True
        layer._post_build()
        if config["call"]:
            layer(*symbolic(config["call"]))

    base: type = type(layer)
    layer.__class__ = saved_class(_Resized, base, NAME)
    vars(layer).update(_resized=config, build=build)  # Keras would track what is in the config
    if layer.built:  # by its own `from_config`
        build()
    return layer


def _tuples(shape: object) -> Any:
    """Shapes as Keras takes them, which JSON makes lists."""
    if isinstance(shape, list | tuple) and all(size is None or isinstance(size, int) for size in shape):
        return tuple(shape)
    if isinstance(shape, dict):
        return {name: _tuples(one) for name, one in shape.items()}
    return [_tuples(one) for one in shape] if isinstance(shape, list | tuple) else shape


@cache
def saved_class(own: type, base: type, name: str) -> type:
    """`base` with the methods of `own`; Keras saves all such classes under the one `name`."""
    made = type(base.__name__, (own, base), {"__module__": base.__module__, "__doc__": base.__doc__})
    registered: type = keras.saving.register_keras_serializable("secateur", name)(made)
    return registered


saved_class(_Resized, keras.layers.Layer, NAME)  # so that Keras knows the name
