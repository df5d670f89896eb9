"""A short run of a small CTC model: what tests of training and pruning this family start from."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from small_ctc import inputs, outputs, small_ctc
from train_small import SETTINGS, Stop, clips

from secateur.data.bank import AudioBank
from secateur.families.ctc.objective import Ctc
from secateur.prune.method import make_method
from secateur.prune.settings import PruneSettings
from secateur.prune.units import COSTS
from secateur.train.loop import TrainingRun, train
from secateur.train.settings import TrainSettings
from secateur.train.stream import Mix

KINDS = ("ffn", "head", "value", "query_key", "conv", "unit")


def run_ctc(
    folder: Path | None, kind: str = "everything", prune: PruneSettings | None = None, stop: int | None = None,
    watch: Any = None, **changed: Any,
) -> tuple[Any, Any, list[dict[str, Any]]]:  # fmt: skip
    """Train a small CTC model; returns it, its method and the log."""
    torch.set_num_threads(1)
    model, sounds = small_ctc(kind), clips()
    rows = [[1 + (i + k) % 6 for k in range(1 + i % 3)] for i in range(len(sounds))]
    method = None if prune is None else make_method(model, prune, COSTS[prune.measure](model.config))
    if watch is not None:
        watch.model = model
    callbacks = [c for c in (method, None if stop is None else Stop(stop), watch) if c is not None]
    run = TrainingRun(
        bank=AudioBank(sounds), mix=Mix(tuple(len(c) / 16000 for c in sounds)), objective=Ctc(rows),
        callbacks=callbacks, validate=lambda current: {"error": -float(outputs(current, inputs(current)).max())},
        folder=folder, label="ctc",
    )  # fmt: skip
    return model, method, train(model, run, TrainSettings(**{**SETTINGS, "dropout": 0.0, **changed}))
