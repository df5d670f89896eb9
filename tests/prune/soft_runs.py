"""Short runs of the small model with any method, whole or broken off in the middle."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "train"))

from small_models import WORDS, inputs, small_whisper
from train_small import SETTINGS, AudioBank, Mix, Run, Seq2Seq, clips, train

from secateur.prune.method import Method
from secateur.prune.methods import make_method
from secateur.prune.settings import PruneSettings
from secateur.prune.units import COSTS
from secateur.train.callback import Callback
from secateur.train.settings import TrainSettings

KINDS = ("ffn", "head", "value", "query_key", "conv")


class BrokenOffError(Exception):
    """What `Breaker` raises."""


class Breaker(Callback):
    """Ends a run as a crash would."""

    def __init__(self, at: int) -> None:
        self.at = at

    def after_step(self, step: int, total: int) -> None:
        if step == self.at:
            raise BrokenOffError


def settings_for(method: str, **changed: Any) -> PruneSettings:
    """A third of the small model goes between steps 3 and 18."""
    values: dict[str, Any] = {"remove": 0.3, "every": 2, "begin": 0.1, "end": 0.6, "kinds": KINDS}
    if method == "layer-drop":
        values |= {"amounts": {"encoder.layers": 0.34, "decoder.layers": 0.5}, "layer_drop": 0.3}
    return PruneSettings(method=method, **{**values, **changed})


def run_soft(
    prune: PruneSettings | None, folder: Path | None = None, stop: int | None = None,
    watch: Callable[[Any], Callback] | None = None, **changed: Any,
) -> tuple[Any, Method[Any] | None, list[dict[str, Any]]]:  # fmt: skip
    """Train the small model for 30 steps; returns it, its method and the log."""
    torch.set_num_threads(1)
    model, tokenizer = small_whisper()
    tokens = model.config.tokens
    sounds = clips()
    rows = [[*tokens.prompt(), *tokenizer.encode(WORDS[i % len(WORDS)]), tokens.end] for i in range(len(sounds))]
    method = None if prune is None else make_method(model, prune, COSTS[prune.measure](model.config))
    more = [None if watch is None else watch(method), None if stop is None else Breaker(stop)]
    callbacks = [c for c in (method, *more) if c is not None]
    run = Run(
        bank=AudioBank(sounds), mix=Mix(tuple(len(c) / 16000 for c in sounds)),
        objective=Seq2Seq(rows, len(tokens.prompt())), callbacks=callbacks,
        validate=lambda current: {"error": float(current(*inputs(current)).detach().square().mean())},
        folder=folder, label="soft",
    )  # fmt: skip
    log = train(model, run, TrainSettings(**{**SETTINGS, "steps": 30, "dropout": 0.0, "select": "last", **changed}))
    return model, method, log
