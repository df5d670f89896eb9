"""SmoothQuant: outlier channels of activations are scaled down before int8 (Xiao et al. 2023, arXiv 2211.10438).

A layer that computes x W equals (x / s) (s W). Weights are multiplied by s and whatever wrote the inputs (a norm, the
values of attention) is divided by s, so that nothing is added to the graph and only rounding differs.
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

ALPHA = 0.7  # 0: weights are unchanged; 1: all inputs get one range. Best for tiny.en's encoder: 0.6 to 0.8
LEAST = 1e-5  # for channels that are always zero, or that no weight reads

Net = TypeVar("Net", bound=Network)
Magnitudes = Mapping[str, Array]  # the largest magnitude of each input (inputs,) of a layer, by the layer's name


@dataclass(frozen=True)
class Scaling:
    """A scale that can be folded into weights: `writer` gives the channels, which only `readers` read."""

    writer: str  # a norm, or a linear layer
    readers: tuple[str, ...]


def scales(inputs: Array, weights: Array, alpha: float = ALPHA) -> Array:
    """s (channels,) = inputs ** alpha / weights ** (1 - alpha), of the largest magnitudes on both sides."""
    factors = np.maximum(np.asarray(inputs, np.float64), LEAST) ** alpha / np.maximum(weights, LEAST) ** (1 - alpha)
    return np.asarray(factors / np.exp(np.log(factors).mean()), np.float32)  # about 1, so that biases keep their size


def smoothed(
    weights: Weights, scalings: list[Scaling], magnitudes: Magnitudes, alpha: float = ALPHA
) -> dict[str, Array]:
    """`weights` that compute the same, with the scales of every `Scaling` moved from inputs into weights."""
    smoothed_weights = dict(weights)
    for scaling in scalings:
        reading = [f"{reader}.weight" for reader in scaling.readers]
        largest = np.max([np.abs(smoothed_weights[name]).max(0) for name in reading], 0)
        s = scales(magnitudes[scaling.readers[0]], largest, alpha)
        for name in reading:
            smoothed_weights[name] = smoothed_weights[name] * s
        for name in (f"{scaling.writer}.weight", f"{scaling.writer}.bias"):
            if name in smoothed_weights:
                smoothed_weights[name] = smoothed_weights[name] / (
                    s[:, None] if smoothed_weights[name].ndim == 2 else s
                )
    return smoothed_weights


def smooth(
    model: Net,
    scalings: list[Scaling],
    observed: Observed,
    features: Sequence[NDArray[np.float32]],
    alpha: float = ALPHA,
) -> Net:
    """A copy of `model` that computes the same, smoothed on `features` (frames, inputs) of some clips."""
    weights = {name: value.detach().float().cpu().numpy() for name, value in model.state_dict().items()}
    smoothed_weights = smoothed(weights, scalings, channel_magnitudes(observed, features), alpha)
    copied = copy.deepcopy(model)
    copied.load_state_dict(
        {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in smoothed_weights.items()}
    )
    return copied
