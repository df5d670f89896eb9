"""Short runs of the small model with any method, whole or broken off in the middle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from small_models import inputs
from train_small import SETTINGS, Stop, StoppedError, TrainingRun, small_job, train

from secateur.prune.method import METHODS, Method, make_method
from secateur.prune.settings import BY_METHOD, PruneSettings
from secateur.prune.units import COSTS
from secateur.train.run import Callback
from secateur.train.settings import TrainSettings

__all__ = ["KINDS", "StoppedError", "run_soft", "settings_for"]

torch.set_num_threads(1)  # small tensors: a second thread only waits
KINDS = ("ffn", "head", "value", "query_key", "conv")


def settings_for(method: str, **changed: Any) -> PruneSettings:
    """A third of the small model goes between steps 3 and 18."""
    values: dict[str, Any] = {"remove": 0.3, "every": 2, "begin": 0.1, "end": 0.6, "kinds": KINDS}
    if method == "layer-drop":
        values |= {"amounts": {"encoder.layers": 0.34, "decoder.layers": 0.5}, "layer_drop": 0.3}
    reads = METHODS[method].reads if method in METHODS else BY_METHOD
    values = {name: value for name, value in values.items() if name not in BY_METHOD or name in reads}
    return PruneSettings(method=method, **{**values, **changed})


def run_soft(
    prune: PruneSettings | None, folder: Path | None = None, stop: int | None = None,
    watch: Callable[[Any], Callback] | None = None, **changed: Any,
) -> tuple[Any, Method[Any] | None, list[dict[str, Any]]]:  # fmt: skip
    """Train the small model for 30 steps; returns it, its method and the log."""
    model, bank, mix, objective = small_job()
    method = None if prune is None else make_method(model, prune, COSTS[prune.measure](model.config))
    more = [None if watch is None else watch(method), None if stop is None else Stop(stop)]
    callbacks = [c for c in (method, *more) if c is not None]
    run = TrainingRun(
        bank=bank, mix=mix, objective=objective, callbacks=callbacks,
        validate=lambda current: {"error": float(current(*inputs(current)).detach().square().mean())},
        folder=folder, label="soft",
    )  # fmt: skip
    usual = {"steps": 30, "validate_every": 2.0, "dropout": 0.0, "select": "last"}
    return model, method, train(model, run, TrainSettings(**{**SETTINGS, **usual, **changed}))
