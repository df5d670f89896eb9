"""A small run that tests start in a process of their own: train_small.py FOLDER SECONDS (between steps)."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from small_models import WORDS, small_whisper

from secateur.data.bank import AudioBank
from secateur.families.seq2seq.objective import Seq2Seq
from secateur.prune.method import make_method
from secateur.prune.settings import PruneSettings
from secateur.prune.units import COSTS
from secateur.train.loop import TrainingRun, train
from secateur.train.run import Callback
from secateur.train.settings import TrainSettings
from secateur.train.stream import Mix

SETTINGS: dict[str, Any] = {
    "steps": 24, "batch_seconds": 3.0, "learning_rate": 3e-3, "ema": 0.9, "save_every": 4, "validate_every": 1.0,
    "select": "best", "dropout": 0.1, "distillation": 0.0, "weight_decay": 0.0,
}  # fmt: skip
PRUNE = PruneSettings(method="gradual", remove=0.15, every=3, begin=0.1, end=0.5, kinds=("ffn", "head", "value"))


def clips(count: int = 12, seed: int = 0) -> list[np.ndarray[Any, Any]]:
    """Chirps whose pitch says which word they are: learnable, and synthetic."""
    random = np.random.default_rng(seed)
    made = []
    for i in range(count):
        time_ = np.arange(int(16000 * random.uniform(0.4, 0.9))) / 16000
        made.append((0.3 * np.sin(2 * np.pi * (200 + 150 * (i % len(WORDS))) * time_)).astype(np.float32))
    return made


class Slow(Callback):
    """Gives a killer time to strike."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def after_step(self, step: int, total: int) -> None:
        time.sleep(self.seconds)


class StoppedError(Exception):
    """A run was interrupted."""


class Stop(Callback):
    """Interrupts a run in the middle of `step`."""

    def __init__(self, step: int) -> None:
        self.step = step

    def after_backward(self, step: int, total: int) -> None:
        if step == self.step:
            raise StoppedError


def small_job() -> tuple[Any, AudioBank, Mix, Seq2Seq]:
    """A model, and what it can learn."""
    torch.set_num_threads(1)
    model, tokenizer = small_whisper()
    tokens = model.config.tokens
    sounds = clips()
    words = [" ".join(WORDS[i % len(WORDS) :][: 1 + i % 3]) for i in range(len(sounds))]  # of several lengths
    rows = [[*tokens.prompt(), *tokenizer.encode(w), tokens.end] for w in words]
    return model, AudioBank(sounds), Mix(tuple(len(c) / 16000 for c in sounds)), Seq2Seq(rows, len(tokens.prompt()))


def run_small(
    folder: Path | None, pause: float = 0.0, prune: PruneSettings | None = PRUNE,
    wrap: Callable[[Seq2Seq], Any] = lambda objective: objective, stop: int | None = None,
    watch: Callback | None = None, **changed: Any,
) -> tuple[Any, Any, Any]:  # fmt: skip
    """Train the small model, `watch`ed by one more callback; returns it, its pruner and the log."""
    model, bank, mix, objective = small_job()
    pruner = None if prune is None else make_method(model, prune, COSTS["parameters"](model.config))
    more = (pruner, Slow(pause) if pause else None, None if stop is None else Stop(stop), watch)
    callbacks: list[Callback] = [c for c in more if c is not None]

    def validate(current: Any) -> dict[str, float]:
        return {"error": float(current.decoder.norm.weight.detach().sum())}

    wrapped = wrap(objective)
    run = TrainingRun(
        bank=bank, mix=mix, objective=wrapped, extra=getattr(wrapped, "head", None), callbacks=callbacks,
        validate=validate, folder=folder, label="small",
    )  # fmt: skip
    log = train(model, run, TrainSettings(**{**SETTINGS, **changed}))
    return model, pruner, log


if __name__ == "__main__":
    run_small(Path(sys.argv[1]), float(sys.argv[2]))
