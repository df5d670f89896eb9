"""Pruning while `fit` runs: a callback that ranks, masks, and at the end shrinks."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ..base.errors import SecateurError, check_known
from ..prune.schedule import SCHEDULES, moment
from ..prune.sensitivity_map import SensitivityMap
from .evidence import Data
from .masks import apply, masked_model, masks_of
from .plan import Options, Planner
from .recompiled import recompiled
from .shrink import shrunk_model


class Pruner(keras.callbacks.Callback):  # type: ignore[misc]
    """Removes units gradually; what is gone is held at zero until `shrunk` removes it.

        pruner = Pruner(amount=0.5)
        model.fit(x, y, epochs=10, batch_size=32, validation_split=0.1, callbacks=[pruner])
        small = pruner.shrunk()

    Epochs log `kept`, the share of the parameters that is left. Options that are not here are those of `prune`.

    Args:
        schedule: "cubic", "linear" or "one-shot" (`secateur.prune.schedule`).
        begin: share of all steps after which pruning begins.
        end: share of all steps after which the whole amount is gone; the rest recovers.
        every: steps between two looks at the units.
        steps: of the whole training, where Keras does not know them (generators).

    Raises:
        SecateurError: as `prune` raises, when `fit` begins.
    """

    def __init__(
        self,
        amount: float | Mapping[str, float] = 0.5,
        *,
        criterion: str = "magnitude",
        schedule: str = "cubic",
        begin: float = 0.1,
        end: float = 0.7,
        every: int = 16,
        steps: int | None = None,
        data: Data | None = None,
        mode: str = "shrink",
        only: Sequence[str] = (),
        exclude: Sequence[str] = (),
        protect: float = 0.9,
        batch_size: int = 64,
        seed: int = 0,
        measured: SensitivityMap | str | Path | None = None,
        round_to: int = 1,
        budget: str = "parameters",
    ) -> None:
        super().__init__()
        check_known("schedule", schedule, SCHEDULES)
        if not 0 <= begin <= end <= 1 or every < 1:
            raise SecateurError(f"pruning needs 0 <= begin <= end <= 1 and every >= 1, found {begin}, {end}, {every}")
        self.options = Options(
            amount, criterion, data, tuple(only), tuple(exclude), protect, mode, batch_size, seed, measured,
            round_to=round_to, budget=budget,
        )  # fmt: skip
        self.schedule, self.begin, self.end, self.every, self.total = SCHEDULES[schedule], begin, end, every, steps
        self.planner: Planner | None = None
        self.step, self.batch, self.done = 0, -1, False

    def on_train_begin(self, logs: Any = None) -> None:
        """Find the units; a second `fit` of the same model goes on with its masks."""
        if self.planner is None or self.planner.model is not self.model:
            self.planner = Planner(self.model, self.options, learning=True)
            self.variables = {name: use.variable for name, use in self.planner.structure.channels.uses.items()}
            self.masks: dict[str, Any] = {}
            self.step, self.done = 0, False
        if self.total is None and not self.params.get("steps"):
            raise SecateurError("Keras does not know how many steps there are: give Pruner(steps=...)")

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Only now it shows how many epochs there are: `fit` may begin with a later one."""
        self.batch = -1
        if self.total is None:
            self.total = self.params["steps"] * (self.params["epochs"] - epoch)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """More goes at every event; what is gone stays zero after every step."""
        total = self.total or 1
        span = round(self.begin * total), max(round(self.end * total), 1)
        time = None
        batch = min(batch, (self.params.get("steps") or batch + 1) - 1)
        for _ in range(max(batch - self.batch, 1)):  # steps_per_execution: several steps are one batch
            self.step += 1
            now = None if self.done else moment(self.step, *span, self.every)
            time = time if now is None else now
        self.batch = batch
        if time is not None and self.planner is not None:
            keep = self.planner.advance(self.schedule(time))
            convert = keras.ops.convert_to_tensor
            self.masks = {
                name: convert(mask, self.variables[name].dtype)
                for name, mask in masks_of(self.planner.structure, keep).items()
            }
            self.done = time == 1.0 or self.schedule is SCHEDULES["one-shot"]
        apply(self.variables, self.masks)

    def on_train_end(self, logs: Any = None) -> None:
        """Averages of the weights, which the optimizer has just put in their place, are of before the removal too."""
        if getattr(getattr(self.model, "optimizer", None), "use_ema", False):
            apply(self.variables, self.masks)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Say how much is left."""
        if logs is not None and self.planner is not None:
            logs["kept"] = self.planner.cost(self.planner.pruned) / self.planner.full

    def shrunk(self) -> Any:
        """What the model has become: a new Keras model without the units that were masked, compiled as it is.

        With `mode="mask"` a model of the same size with zeros. Warns when training ended before the pruning did.

        Raises:
            SecateurError: before `fit`, or when removed weights are back, as after restoring an earlier epoch.
        """
        if self.planner is None:
            raise SecateurError("nothing is pruned yet: give the Pruner to fit(callbacks=[...]) first")
        for name, mask in self.masks.items():
            values = keras.ops.convert_to_numpy(self.variables[name])
            if np.any(values * (1 - keras.ops.convert_to_numpy(mask))):
                raise SecateurError(
                    f"{name}: weights that were removed are back; restore only epochs from after the end of pruning "
                    f"(step {round(self.end * (self.total or 1))})"
                )
        if not self.done and self.options.amount:
            gone = 1 - self.planner.cost(self.planner.pruned) / self.planner.full
            end = round(self.end * (self.total or 1))
            warnings.warn(
                f"training ended at step {self.step}, before the end of pruning (step {end}): {100 * gone:.0f} % of "
                "all parameters are gone; train longer, or give Pruner(end=..., steps=...)",
                stacklevel=2,
            )
        planner = self.planner
        if self.options.mode == "mask":
            copy = masked_model(self.model, planner.structure, planner.keep)
            return recompiled(self.model, copy, planner.structure)
        return recompiled(self.model, shrunk_model(self.model, planner.pruned), planner.pruned)
