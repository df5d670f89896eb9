"""Measured time of Keras models, and the share to remove for a budget of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base.errors import SecateurError
from ..base.extras import require
from .data import SampleBatches
from .options import Options
from .plan import Planner
from .shrink import shrunk_model

if TYPE_CHECKING:
    from keras import Model

ROUNDS, CALLS, SEARCH = 9, 5, 5


def milliseconds(models: Sequence[Model], x: object, rounds: int = ROUNDS) -> list[float]:
    """Of one call of each model on inputs `x`: the median of rounds, in which the models take turns."""
    functions = [_compiled(model) for model in models]
    times: list[list[float]] = [[] for _ in models]
    for function in functions:
        function(x)
    for _ in range(rounds):
        for function, measured in zip(functions, times, strict=True):
            start = time.perf_counter()
            for _ in range(CALLS):
                function(x)
            measured.append(1000 * (time.perf_counter() - start) / CALLS)
    return [float(np.median(measured)) for measured in times]


def _compiled(model: Model) -> Callable[[Any], Any]:
    """The model as its backend runs it fastest."""
    keras = require("keras", "keras")
    backend = keras.backend.backend()

    def call(x: object) -> Any:
        return model(x, training=False)

    if backend == "tensorflow":
        return require("tensorflow", "keras").function(call)  # type: ignore[no-any-return]
    if backend == "jax":
        jitted = require("jax", "keras").jit(call)
        return lambda x: require("jax", "keras").block_until_ready(jitted(x))
    from .random_runs import no_gradients

    def run(x: object) -> Any:
        with no_gradients():
            return call(x)

    return run


Measure = Callable[[Sequence[Any], Any], Sequence[float]]  # of models on inputs, their milliseconds


def within_latency(model: Model, options: Options, measure: Measure = milliseconds) -> tuple[Planner, float]:
    """A plan whose model takes at most 1 - amount of the time of one example, and the share of the time that it saves:
    the smallest share of multiply-accumulates that does, to one of 32.

    Raises:
        SecateurError: an amount that is no number, or one that no plan reaches.
    """
    asked = options.amount
    if not isinstance(asked, float | int) or asked == 0:
        raise SecateurError("budget='latency' needs an amount that is one share above 0, such as 0.3")
    from .export import random_samples

    keras = require("keras", "keras")
    given = random_samples(model, 1) if options.data is None else SampleBatches(options.data, model, 1).first().x
    x = keras.tree.map_structure(keras.ops.convert_to_tensor, given)
    low, high = 0.0, 1.0
    macs = replace(options, budget="macs")
    if options.data is not None and not macs.looks and getattr(model, "inputs", None):
        macs = replace(macs, data=None, batch_size=Options.batch_size)
    best: tuple[Planner, float] | None = None
    saved = 0.0
    for _ in range(SEARCH):
        middle = (low + high) / 2
        try:
            planner = Planner(model, replace(macs, amount=middle))
        except SecateurError:
            high = middle
            continue
        planner.advance(1.0)
        whole, small = measure([model, shrunk_model(model, planner.pruned)], x)
        saved = 1 - small / whole
        if saved >= asked:
            best, high = (planner, saved), middle
        else:
            low = middle
    if best is None:
        raise SecateurError(
            f"amount {asked:g} of the latency cannot be reached: the largest plan that was measured saves {saved:.2f}: "
            "ask for less, or allow more with protect"
        )
    return best
