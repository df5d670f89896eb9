"""Group lasso while `fit` runs: whole units are pressed towards zero, so that those to remove are empty already."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from ..base.errors import SecateurError
from ..models.groups import Group, Place
from ..prune.places import along, parameter_masks, unit_sums
from .masks import Masks, apply, fetch
from .options import Options
from .plan import Planner

Floats = NDArray[np.float32]


def makes(group: Group, names: Container[str]) -> list[Place]:
    """Where a unit is made; nowhere if its zeros have no slope, or it is frozen."""
    return [p for p in group.places if p.masked and not p.reads and p.parameter in names]


def pressed(group: Group, weights: Mapping[str, Floats], threshold: float) -> dict[str, Floats]:
    """Weights after one proximal step of the group lasso: every unit's norm is `threshold` times the root of its size
    smaller, or zero (Yuan and Lin 2006; Parikh and Boyd 2014, "Proximal algorithms", section 6.5.4).

    A unit is here what its layer makes it of; what the next layers read it with is left to them.
    """
    own = makes(group, weights)
    if not own:
        return {}
    names = {p.parameter for p in own}
    norms = np.sqrt(unit_sums(group, {n: np.square(weights[n]) for n in names}, own))
    sizes = unit_sums(group, {n: np.ones_like(weights[n]) for n in names}, own)
    factors = np.maximum(1 - threshold * np.sqrt(sizes) / np.maximum(norms, 1e-12), 0).astype(np.float32)
    result = {name: weights[name] for name in names}
    for place in own:
        result[place.parameter] = result[place.parameter] * along(factors, place, result[place.parameter].shape)
    return result


class GroupLasso(keras.callbacks.Callback):  # type: ignore[misc]
    """Presses on whole units after every step, as L1 presses on single weights; give it to `fit` before a `Pruner`.

        model.fit(x, y, epochs=10, callbacks=[GroupLasso(0.02), Pruner(0.5)])

    A callback and not a `kernel_regularizer`, because a unit is more than one variable (kernels, biases, factors of a
    normalisation), and because the saved model then needs nothing but Keras. A unit that is zero stays so: what the
    optimizer still moves, its momentum above all, would bring it back. Epochs log `empty`, the share of the units
    that are zero. For L1 and L2 use those of Keras (`kernel_regularizer="l1"`): a pruned model keeps them.

    Args:
        strength: times the learning rate and the root of a unit's size: what its norm loses at every step.
        every: steps between two presses, each of which makes up for all of them.
        only: patterns of names of the layers that are pressed; all unless given.
        exclude: patterns of names of the layers that are not.

    Raises:
        SecateurError: no strength, or as `prune` raises, when `fit` begins.
    """

    def __init__(
        self, strength: float = 0.02, *, every: int = 8, only: Sequence[str] = (), exclude: Sequence[str] = ()
    ) -> None:
        super().__init__()
        if strength <= 0 or every < 1:
            raise SecateurError(f"group lasso needs strength > 0 and every >= 1, found {strength} and {every}")
        self.strength, self.every, self.since = strength, every, 0
        self.options = Options(0.0, only=only, exclude=exclude, mode="mask")
        self.groups: list[Group] = []
        self.masks: Masks = {}

    def on_train_begin(self, logs: object = None) -> None:
        """Find the units."""
        planner = Planner(self.model, self.options, learning=True)
        self.variables = {name: one for name, one in planner.variables.items() if one.trainable}
        groups = [replace(group, places=tuple(makes(group, self.variables))) for group in planner.groups]
        self.groups, self.masks = [group for group in groups if group.places], {}

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        """One proximal step for the optimizer's last steps; what is empty stays so."""
        self.since += 1
        if self.since == self.every:
            self._press_since()
        elif self.masks:
            fetch(self.model)
            apply(self.variables, self.masks)

    def _press_since(self) -> None:
        """One proximal step for the steps since the last one."""
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        self.press(rate * self.strength * self.since)
        self.since = 0

    def press(self, threshold: float) -> None:
        """See `pressed`."""
        fetch(self.model)
        apply(self.variables, self.masks)
        weights = self._weights()
        for group in self.groups:
            weights |= pressed(group, weights, threshold)
        for name, values in weights.items():
            self.variables[name].assign(values)
        shapes = {name: values.shape for name, values in weights.items()}
        masks = parameter_masks(self.groups, {g.name: s > 0 for g, s in self._sums(weights)}, shapes)
        self.masks = {n: keras.ops.convert_to_tensor(mask, self.variables[n].dtype) for n, mask in masks.items()}

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Press once more, or the last steps would leave nothing at zero, and say how many units are empty."""
        if self.since:
            self._press_since()
        if logs is not None and self.groups:
            sums = [values for _, values in self._sums(self._weights())]
            logs["empty"] = float(np.mean(np.concatenate(sums) == 0))

    def on_train_end(self, logs: object = None) -> None:
        """Averages of the weights, which the optimizer may just have put in their place, are of before too."""
        apply(self.variables, self.masks)

    def _sums(self, weights: Mapping[str, Floats]) -> list[tuple[Group, Floats]]:
        """Of the absolute values of every unit."""
        large = {name: np.abs(values) for name, values in weights.items()}
        return [(group, unit_sums(group, large)) for group in self.groups]

    def _weights(self) -> dict[str, Floats]:
        names = {place.parameter for group in self.groups for place in group.places}
        return {n: np.asarray(keras.ops.convert_to_numpy(self.variables[n]), np.float32) for n in sorted(names)}
