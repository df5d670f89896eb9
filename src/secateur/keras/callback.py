"""Pruning while a model learns: a callback of `fit`, or called after each step, that ranks, masks, and shrinks."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from ..base.errors import SecateurError
from ..prune.sensitivity_map import SensitivityMap
from .api import prune
from .data import Data
from .masks import apply, fetch, masked_model
from .options import ZEROS, Options, matches
from .plan import Planner
from .refit import refit as refit_model
from .schedules import POLYNOMIAL, Schedule, Timetable
from .shrink import recompiled, shrunk_model
from .sparse import SparsePlanner, sparse_model

if TYPE_CHECKING:
    from keras import Model

ALL = "*"


class Pruner(keras.callbacks.Callback):  # type: ignore[misc]
    """Removes units, or weights by a pattern, gradually; they are held at zero until `shrunk` removes them.

        pruner = Pruner(amount=0.5)
        model.fit(x, y, epochs=10, batch_size=32, validation_split=0.1, callbacks=[pruner])
        small = pruner.shrunk()

    In a training loop of one's own:

        pruner = Pruner(amount=0.5).start(model, steps=1000)
        for x, y in batches:
            ...  # one step of the optimizer
            pruner.after_step()
        small = pruner.shrunk()

    Epochs log `kept`, the share of the parameters that is left. What is removed never comes back: every later plan
    keeps it out, and it is zero after every step. Options that are not here are those of `prune`; `amount="zeros"`
    holds at zero what is zero when training begins.

    Args:
        schedule: "cubic", "polynomial" (with `power`), "linear", "one-shot", a `Schedule`, or schedules by pattern of
            the layers' names, such as `{"*": "cubic", "conv*": Schedule(begin=100, end=500)}`.
        power: of the cubic or polynomial schedule.
        begin: share of all steps after which pruning begins, or above 1 the step.
        end: share of all steps (or the step) after which the whole amount is removed; the rest recovers.
        every: steps between two looks at the units.
        steps: of the whole training, where Keras does not know them (generators).

    Raises:
        SecateurError: as `prune` raises, when `fit` begins.
    """

    def __init__(
        self,
        amount: float | str | Mapping[str, float] | None = None,
        *,
        criterion: str = "magnitude",
        schedule: str | Schedule | Mapping[str, str | Schedule] = "cubic",
        power: float | None = None,
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
        threshold: float = 0.0,
        round_to: int = 1,
        budget: str = "parameters",
        pattern: str = "units",
        refit: bool = False,
    ) -> None:
        super().__init__()

        def of(one: str | Schedule) -> Schedule:
            if isinstance(one, Schedule):
                return one
            return Schedule(one, power if one in POLYNOMIAL else None, begin, end, every)

        given = schedule if isinstance(schedule, Mapping) else {ALL: schedule}
        _check_spans(given, amount, power=power, begin=begin, end=end, every=every)
        if power is not None and not isinstance(schedule, Mapping):
            Schedule(schedule if isinstance(schedule, str) else schedule.kind, power)  # a kind that has none is refused
        self.schedules = {name: of(one) for name, one in given.items()}
        self.options = Options(
            amount, criterion, data, only, exclude, protect, mode, batch_size, seed, measured, threshold,
            round_to=round_to, budget=budget, pattern=pattern, refit=refit,
        )  # fmt: skip
        if budget == "latency":
            raise SecateurError("time is measured at once: prune(model, amount, budget='latency'), then fit")
        if self.options.amount == ZEROS:
            self.schedules = {ALL: Schedule("one-shot", begin=0, end=0, every=1)}
        if isinstance(schedule, Mapping) and pattern == "units" and not isinstance(amount, Mapping):
            raise SecateurError("schedules by layer need amounts by layer: give amount={'conv*': 0.3, ...} with them")
        self.total = steps
        self.planner: Planner | SparsePlanner | None = None
        self.timetable = Timetable(self.schedules)
        self.masks: dict[str, Any] = {}
        self.step, self.batch = 0, -1

    @property
    def done(self) -> bool:
        """Whether the whole amount is removed."""
        return self.timetable.done

    def start(self, model: Model, steps: int | None = None) -> Pruner:
        """Begin a training loop of `steps` steps of one's own: then call `after_step` after each.

        Raises:
            SecateurError: see `prune`; no number of steps for a span in shares of them.
        """
        self.set_model(model)
        self.total = self.total if steps is None else steps
        self._begin()
        if self.total is None and not self.timetable.in_steps:
            raise SecateurError("shares of all steps need their number: give steps=..., or begin and end in steps")
        return self

    def after_step(self) -> None:
        """More is removed at every event; what is removed is zero after every step of the optimizer.

        Raises:
            SecateurError: before `start`.
        """
        if self.planner is None:
            raise SecateurError("give the Pruner the model first: start(model, steps=...)")
        self._steps(1)

    def _begin(self) -> None:
        """Find the units; a second training of the same model goes on with its masks."""
        if self.planner is None or self.planner.model is not self.model:
            sparse = self.options.pattern != "units" or self.options.amount == ZEROS
            self.planner = (
                SparsePlanner(self.model, self.options) if sparse else Planner(self.model, self.options, learning=True)
            )
            self.variables = self.planner.variables
            self.masks, self.step, self.timetable = {}, 0, Timetable(self.schedules)
            if self.options.amount == ZEROS:
                self._remove()

    def _remove(self) -> None:
        """What goes now."""
        assert self.planner is not None
        shares = self.timetable.shares

        def share(name: str) -> float:
            return next((part for one, part in reversed(shares.items()) if matches(name, one)), 0.0)

        before = None if isinstance(self.planner, SparsePlanner) else self.planner.pruned
        self.planner.advance(shares[ALL] if [*shares] == [ALL] else share)
        if before is not None and isinstance(self.planner, Planner) and self.options.refit and self.planner.data:
            refit_model(self.model, before, self.planner.pruned, self.planner.data)
        convert = keras.ops.convert_to_tensor
        self.masks = {n: convert(mask, self.variables[n].dtype) for n, mask in self.planner.masks().items()}

    def _steps(self, count: int) -> None:
        """`count` steps of the optimizer are done."""
        event = False
        for _ in range(count):
            self.step += 1
            event |= self.timetable.advance(self.step, self.total or 1)
        if event or self.masks:
            fetch(self.model)
        if event and self.options.amount != ZEROS:
            self._remove()
        apply(self.variables, self.masks)

    def on_train_begin(self, logs: object = None) -> None:
        """See `start`."""
        self._begin()
        if self.total is None and not self.params.get("steps") and not self.timetable.in_steps:
            raise SecateurError("Keras does not know how many steps there are: give Pruner(steps=...)")

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        """Only now it shows how many epochs there are: `fit` may begin with a later one."""
        self.batch = -1
        if self.total is None and self.params.get("steps"):
            self.total = self.params["steps"] * (self.params["epochs"] - epoch)

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        """See `after_step`; with steps_per_execution several steps are one batch."""
        batch = min(batch, (self.params.get("steps") or batch + 1) - 1)
        self._steps(max(batch - self.batch, 1))
        self.batch = batch

    def on_train_end(self, logs: object = None) -> None:
        """Averages of the weights, which the optimizer has just put in their place, are of before the removal too."""
        if getattr(getattr(self.model, "optimizer", None), "use_ema", False):
            apply(self.variables, self.masks)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Say how much is left."""
        if logs is not None and self.planner is not None:
            logs["kept"] = self.planner.kept()

    def shrunk(self) -> Any:
        """What the model has become: a new Keras model without the units that were masked, compiled as it is.

        With `mode="mask"`, or a pattern of single weights, a model of the same size with zeros. Warns when training
        ended before the pruning did.

        Raises:
            SecateurError: before `fit`, or when removed weights are back, as after restoring an earlier epoch.
        """
        planner = self.planner
        if planner is None:
            raise SecateurError("nothing is pruned yet: give the Pruner to fit(callbacks=[...]) first")
        end = self.timetable.last(self.total or 1)
        for name, mask in self.masks.items():
            values = keras.ops.convert_to_numpy(self.variables[name])
            if np.any(values * (1 - keras.ops.convert_to_numpy(mask))):
                raise SecateurError(
                    f"{name}: weights that were removed are back; restore only epochs from after the end of pruning "
                    f"(step {end})"
                )
        if not self.done and self.options.amount:
            warnings.warn(
                f"training ended at step {self.step}, before the end of pruning (step {end}): "
                f"{100 * (1 - planner.kept()):.0f} % of all parameters are removed; train longer, or give "
                "Pruner(end=..., steps=...)",
                stacklevel=2,
            )
        if self.options.amount == ZEROS and self.options.pattern == "units" and self.options.mode == "shrink":
            return prune(self.model, ZEROS, only=self.options.only, exclude=self.options.exclude)
        if isinstance(planner, SparsePlanner):
            return recompiled(self.model, sparse_model(planner))
        if self.options.mode == "mask":
            copy = masked_model(self.model, planner.structure, planner.keep)
            return recompiled(self.model, copy, planner.structure)
        return recompiled(self.model, shrunk_model(self.model, planner.pruned), planner.pruned)


def _check_spans(given: Mapping[str, str | Schedule], amount: object, **spans: float | None) -> None:
    """Refuse a schedule, power or span that nothing reads.

    Raises:
        SecateurError: which.
    """
    changed = [name for name, value in spans.items() if value != getattr(Schedule, name)]
    if amount == ZEROS and (changed or [*given.values()] != ["cubic"]):
        what = changed[0] if changed else "schedule"
        raise SecateurError(f"{what} has no effect with amount='zeros', which holds zeros from the start: leave it out")
    if changed and all(isinstance(one, Schedule) for one in given.values()):
        raise SecateurError(f"{changed[0]} has no effect beside a Schedule: give it as Schedule({changed[0]}=...)")
