"""Channels that tower above the rest made even before int8: SmoothQuant (Xiao et al. 2023, arXiv 2211.10438).

A layer that reads x W reads (x / s) (s W) just as well. Weights take the spread of the inputs upon them, and what wrote
the inputs (a norm, the values of attention) is divided by s, so nothing is added to the graph and nothing changes but
what rounding does.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from ..models.network import Network
from .calibration import channel_magnitudes
from .exporter import Observed
from .graph import Array
from .layers import Weights

ALPHA = 0.7  # 0: weights stay as they are; 1: inputs become all alike. Of tiny.en's encoder best from 0.6 to 0.8
LEAST = 1e-5  # a channel that is never heard, or that nobody listens to

Net = TypeVar("Net", bound=Network)
Magnitudes = Mapping[str, Array]  # the largest magnitude of each input (inputs,) of a layer, by the layer's name


@dataclass(frozen=True)
class Scaling:
    """Where a scale can hide: `writer` gives the channels that `readers` alone read."""

    writer: str  # a norm, or a linear layer
    readers: tuple[str, ...]


def scales(inputs: Array, weights: Array, alpha: float = ALPHA) -> Array:
    """s (channels,) = inputs ** alpha / weights ** (1 - alpha), of the largest magnitudes on both sides."""
    factors = np.maximum(np.asarray(inputs, np.float64), LEAST) ** alpha / np.maximum(weights, LEAST) ** (1 - alpha)
    return np.asarray(factors / np.exp(np.log(factors).mean()), np.float32)  # about 1, so that biases keep their size


def smoothed(weights: Weights, where: list[Scaling], magnitudes: Magnitudes, alpha: float = ALPHA) -> dict[str, Array]:
    """`weights` that compute the same, with the scales of every place moved from inputs into weights."""
    even = dict(weights)
    for place in where:
        reading = [f"{reader}.weight" for reader in place.readers]
        largest = np.max([np.abs(even[name]).max(0) for name in reading], 0)
        s = scales(magnitudes[place.readers[0]], largest, alpha)
        for name in reading:
            even[name] = even[name] * s
        for name in (f"{place.writer}.weight", f"{place.writer}.bias"):
            if name in even:
                even[name] = even[name] / (s[:, None] if even[name].ndim == 2 else s)
    return even


def smooth(
    model: Net, where: list[Scaling], observed: Observed, features: Sequence[NDArray[np.float32]], alpha: float = ALPHA
) -> Net:
    """A copy of `model` that computes the same, evened out on `features` (frames, inputs) of some clips."""
    weights = {name: value.detach().float().cpu().numpy() for name, value in model.state_dict().items()}
    even = smoothed(weights, where, channel_magnitudes(observed, features), alpha)
    twin = copy.deepcopy(model)
    twin.load_state_dict({name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in even.items()})
    return twin
