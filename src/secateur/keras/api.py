"""`prune`: a smaller Keras model in one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..prune.sensitivity_map import SensitivityMap
from .evidence import Data
from .masks import masked_model
from .plan import Options, Planner
from .shrink import shrunk_model


def prune(
    model: Any,
    amount: float | Mapping[str, float] = 0.5,
    *,
    criterion: str = "magnitude",
    data: Data | None = None,
    mode: str = "shrink",
    only: Sequence[str] = (),
    exclude: Sequence[str] = (),
    protect: float = 0.9,
    batch_size: int = 64,
    seed: int = 0,
    measured: SensitivityMap | str | Path | None = None,
) -> Any:
    """A new, plain Keras model without the units that matter least; not compiled. The model itself stays as it is.

    Whole units go, so the layers are smaller and every runtime is faster: units of dense and recurrent layers, filters,
    heads and their dimensions. It takes no training; to prune while the model learns, give `fit` a `Pruner`.

    Args:
        model: built; sequential, functional or subclassed, nested as it may be. Layers of other classes are followed
            into their `call`, where that is made of Keras layers and operations, and keep their class (`load` reads
            such a model); `register` teaches others.
        amount: share of all parameters that goes, from 0 to below 1; or by layer name or kind ("unit", "conv", "head",
            "query_key", "value"), with `*` and `?`, the share of its units, such as `{"conv*": 0.3, "dense1": 0.5}`.
        criterion: "magnitude", "taylor", "signed", "wanda", "sensitivity" or "random" (`secateur.prune.importance`).
        data: `(inputs, targets)`, for the criteria that look at data; taylor and signed need a compiled model.
        mode: "shrink" removes units physically; "mask" zeroes them, also in models with layers that no rule knows.
        only: patterns of names of the layers that may lose units; all unless given.
        exclude: patterns of names of the layers that keep all their units; a layer that no rule knows has to be here.
        protect: no group loses more than this share of its units, when `amount` is one share of the parameters.
        batch_size: of `data`.
        seed: of random scores.
        measured: for the criterion "sensitivity": what `secateur.keras.sensitivity` found, or its file.

    Raises:
        SecateurError: a layer or model that cannot be followed (with what stops it), a name that matches nothing, an
            amount that cannot be reached.
    """
    options = Options(amount, criterion, data, tuple(only), tuple(exclude), protect, mode, batch_size, seed, measured)
    planner = Planner(model, options)
    keep = planner.advance(1.0)
    return masked_model(model, planner.structure, keep) if mode == "mask" else shrunk_model(model, planner.pruned)
