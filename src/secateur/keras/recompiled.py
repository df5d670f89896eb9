"""A pruned model is compiled as the first one was, with what is left of the optimizer's moments."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ..base.extras import require
from .causes import cause
from .copies import paired
from .structure import Structure


def recompiled(model: Any, small: Any, structure: Structure | None = None) -> Any:
    """`small`, compiled like `model` where that is compiled; a warning where its losses or metrics give no config.

    Without a `structure` both have the same shapes.
    """
    if not getattr(model, "compiled", False):
        return small
    keras = require("keras", "keras")
    try:
        config = model.get_compile_config()
        small.compile_from_config(config)
    except Exception as problem:  # whatever a loss of one's own raises
        warnings.warn(f"the pruned model is not compiled: {cause(problem)}", stacklevel=3)
        return small
    optimizer = getattr(small, "optimizer", None)
    if optimizer is None or not getattr(model.optimizer, "built", False):
        return small
    optimizer.build(small.trainable_variables)
    _moments(keras, model, small, structure)
    return small


def _moments(keras: Any, model: Any, small: Any, structure: Structure | None) -> None:
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


def _named(variable: Any) -> str:
    """As optimizers name what belongs to a variable."""
    return str(variable.path).replace("/", "_")
