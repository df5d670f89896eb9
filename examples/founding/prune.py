"""Step 4's pruning: walk the network's convolutions and dense layers, remove the units that say least, gradually.

Known layers are enough for a GoogLeNet: convolutions and dense layers have units, concatenation puts units side by
side, batch normalisation, pooling, activation and dropout hand each unit on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from secateur.base.errors import SecateurError
from secateur.prune.schedule import SCHEDULES

LEAST = 2  # units a layer keeps
EVERY = 8  # steps from one look at the units to the next
UNITS = {"Conv1D": "filters", "Dense": "units"}
HANDING_ON = (
    "InputLayer", "BatchNormalization", "Activation", "ReLU", "Dropout", "GaussianNoise", "MaxPooling1D",
    "AveragePooling1D", "GlobalAveragePooling1D", "GlobalMaxPooling1D",
)  # fmt: skip

Keep = Mapping[str, NDArray[np.bool_]]  # by the name of a layer with units
Places = NDArray[np.intp]  # numbers of units, or -1 for a feature of the input


@dataclass(frozen=True)
class Walk:
    """Which units there are, and where each is read."""

    sizes: dict[str, int]  # units of each convolution and dense layer, in order
    starts: dict[str, int]  # number of its first unit
    reads: dict[str, Places]  # for each layer, the unit behind each of its input channels
    fixed: str  # the output layer, whose units are the classes

    @property
    def count(self) -> int:
        """Units in all."""
        return sum(self.sizes.values())

    def kept_inputs(self, name: str, keep: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which input channels of a layer are left; features of the input all are."""
        reads = self.reads[name]
        return np.where(reads < 0, True, keep[np.maximum(reads, 0)])

    def kept_units(self, name: str, keep: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which units of a layer are left."""
        return keep[self.starts[name] : self.starts[name] + self.sizes[name]]


def walk(network: Any) -> Walk:
    """Follow every channel from the layer that makes it to the layers that read it.

    Raises:
        SecateurError: a layer whose effect on units is not known here.
    """
    sizes: dict[str, int] = {}
    starts: dict[str, int] = {}
    reads: dict[str, Places] = {}
    behind: dict[int, Places] = {}  # by the identity of a tensor
    last = ""
    for layer in network.layers:
        kind = type(layer).__name__
        sources = layer.input if isinstance(layer.input, list) else [layer.input]
        if kind == "InputLayer":
            behind[id(layer.output)] = np.full(layer.output.shape[-1], -1)
            continue
        channels = np.concatenate([behind[id(source)] for source in sources])
        if kind in UNITS:
            last, starts[layer.name] = layer.name, sum(sizes.values())
            reads[layer.name] = channels
            sizes[layer.name] = getattr(layer, UNITS[kind])
            channels = starts[layer.name] + np.arange(sizes[layer.name])
        elif kind == "BatchNormalization":
            reads[layer.name] = channels
        elif kind not in ("Concatenate", *HANDING_ON):
            raise SecateurError(f"layer '{layer.name}' ({kind}): what it does with units is not known to this example")
        behind[id(layer.output)] = channels
    return Walk(sizes, starts, reads, last)


def parameters(network: Any, found: Walk, keep: NDArray[np.bool_]) -> int:
    """Parameters that are left with `keep` (units,)."""
    total = 0
    for layer in network.layers:
        if layer.name in found.sizes:
            inputs, units = found.kept_inputs(layer.name, keep).sum(), found.kept_units(layer.name, keep).sum()
            taps = layer.kernel_size[0] if hasattr(layer, "kernel_size") else 1
            total += int(taps * inputs * units + layer.use_bias * units)
        elif layer.name in found.reads:
            total += 4 * int(found.kept_inputs(layer.name, keep).sum())
    return total


def importance(network: Any, found: Walk) -> NDArray[np.float64]:
    """How much each unit says (units,), beside the mean of its layer: how loud it is times how much it is listened to.

    Loud: the factor of its batch normalisation, or the norm of its weights. Listened to: the norm of what reads it.
    """
    loud, listened = np.ones(found.count), np.zeros(found.count)
    for layer in network.layers:
        if layer.name in found.sizes:
            kernel = np.asarray(layer.get_weights()[0], np.float64)
            kernel = kernel.reshape(-1, *kernel.shape[-2:])  # (taps, inputs, units)
            start = found.starts[layer.name]
            loud[start : start + found.sizes[layer.name]] = np.sqrt(np.square(kernel).sum((0, 1)))
            reads = found.reads[layer.name]
            np.add.at(listened, reads[reads >= 0], np.square(kernel).sum((0, 2))[reads >= 0])
        elif layer.name in found.reads:
            reads = found.reads[layer.name]
            loud[reads[reads >= 0]] = np.abs(layer.get_weights()[0])[reads >= 0]
    scores = loud * np.sqrt(listened)
    for name, start in found.starts.items():
        own = slice(start, start + found.sizes[name])
        scores[own] /= scores[own].mean() + 1e-12
    return scores


def choose(network: Any, found: Walk, keep: NDArray[np.bool_], target: float) -> NDArray[np.bool_]:
    """`keep` (units,) without the least important units, so few that at most `target` parameters are left."""
    scores = importance(network, found)
    removable = keep.copy()
    for name, start in found.starts.items():
        own = slice(start, start + found.sizes[name])
        staying = found.sizes[name] if name == found.fixed else LEAST
        removable[start + np.argsort(np.where(keep[own], scores[own], -1))[-staying:]] = False
    order = np.flatnonzero(removable)[np.argsort(scores[removable])]

    def without(count: int) -> NDArray[np.bool_]:
        left = keep.copy()
        left[order[:count]] = False
        return left

    low, high = 0, len(order)
    while low < high:
        middle = (low + high) // 2
        if parameters(network, found, without(middle)) <= target:
            high = middle
        else:
            low = middle + 1
    return without(low)


def mask(network: Any, found: Walk, keep: NDArray[np.bool_]) -> None:
    """Silence removed units: what makes them gives zero, so that nothing changes when they are cut out."""
    for layer in network.layers:
        if layer.name in found.sizes:
            left = found.kept_units(layer.name, keep)
            variables = layer.weights
        elif layer.name in found.reads:
            left = found.kept_inputs(layer.name, keep)
            variables = layer.weights[:2]  # its factor and its offset
        else:
            continue
        if not left.all():
            for variable in variables:
                variable.assign(variable * left.astype(np.float32))


def shrink(network: Any, found: Walk, keep: NDArray[np.bool_]) -> Any:
    """A smaller network without the removed units; what is left has the same weights."""

    def smaller(layer: Any) -> Any:
        config = layer.get_config()
        if layer.name in found.sizes:
            config[UNITS[type(layer).__name__]] = int(found.kept_units(layer.name, keep).sum())
        return type(layer).from_config(config)

    small = keras.models.clone_model(network, clone_function=smaller)
    for layer in network.layers:
        weights = layer.get_weights()
        if layer.name in found.sizes:
            inputs, units = found.kept_inputs(layer.name, keep), found.kept_units(layer.name, keep)
            kernel = weights[0][..., inputs, :][..., units]
            small.get_layer(layer.name).set_weights([kernel, *(bias[units] for bias in weights[1:])])
        elif layer.name in found.reads:
            small.get_layer(layer.name).set_weights([w[found.kept_inputs(layer.name, keep)] for w in weights])
    return small


class Pruner(keras.callbacks.Callback):
    """Removes units while `fit` runs: nothing before `begin`, `amount` of the parameters from `end` (shares) on."""

    def __init__(self, amount: float, schedule: str = "cubic", begin: float = 0.3, end: float = 0.8) -> None:
        super().__init__()
        if not 0 <= amount < 1 or not 0 <= begin < end <= 1:
            raise SecateurError(f"pruning needs 0 <= amount < 1 and 0 <= begin < end <= 1: {amount}, {begin}, {end}")
        self.amount, self.begin, self.end = amount, begin, end
        self.schedule = SCHEDULES[schedule]
        self.step = 0
        self.share = 0.0  # of the parameters, removed so far

    def on_train_begin(self, logs: Any = None) -> None:
        """Find the units."""
        self.found = walk(self.model)
        self.keep = np.ones(self.found.count, bool)
        self.total = parameters(self.model, self.found, self.keep)
        self.steps = self.params["steps"] * self.params["epochs"]

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Every few steps more goes; in every step what is gone stays silent."""
        self.step += 1
        progress = (self.step / self.steps - self.begin) / (self.end - self.begin)
        if progress > 0 and (self.step % EVERY == 0 or progress >= 1) and self.share < self.amount:
            self.share = self.amount * self.schedule(min(1.0, progress))
            self.keep = choose(self.model, self.found, self.keep, self.total * (1 - self.share))
        mask(self.model, self.found, self.keep)

    def shrunk(self, network: Any) -> Any:
        """The small network that `network` has become."""
        return shrink(network, self.found, self.keep)
