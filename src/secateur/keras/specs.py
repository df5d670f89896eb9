"""What a subclassed model is called on, as shapes and types that a saved model can keep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..base.extras import require

if TYPE_CHECKING:
    from keras import Model


def call_of(model: Model, inputs: object) -> Any:
    """A list that describes what a subclassed model is called on: shapes and types, nested as its inputs are; None
    where it was not called yet."""
    keras = require("keras", "keras")
    if inputs is not None:
        return [_specs(keras.tree.map_structure(lambda a: (tuple(a.shape), str(a.dtype).split(".")[-1]), inputs))]
    build = model.get_build_config()
    if not build:
        return None
    shapes = [build["input_shape"]] if "input_shape" in build else list(build["shapes_dict"].values())
    return [_specs(shape) for shape in shapes]


def _specs(shape: Any) -> Any:
    if isinstance(shape, tuple | list) and len(shape) == 2 and isinstance(shape[1], str):
        kind = "float32" if shape[1] == "float64" else shape[1]
        return {"shape": [None, *shape[0][1:]], "dtype": kind}
    if isinstance(shape, tuple | list) and all(size is None or isinstance(size, int) for size in shape):
        return {"shape": [None, *shape[1:]], "dtype": "float32"}
    if isinstance(shape, dict):
        return {name: _specs(one) for name, one in shape.items()}
    return [_specs(one) for one in shape]


def symbolic(spec: Any) -> Any:
    """Symbolic tensors from their description."""
    keras = require("keras", "keras")
    if isinstance(spec, dict) and set(spec) == {"shape", "dtype"}:
        return keras.Input(batch_shape=spec["shape"], dtype=spec["dtype"])
    if isinstance(spec, dict):
        return {key: symbolic(one) for key, one in spec.items()}
    return [symbolic(one) for one in spec]
