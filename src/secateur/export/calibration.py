"""What int8-static needs to know: how large the inputs of each layer get, on recordings of the kind to come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .exporter import Observed

SHARE = 0.9999  # of the values in a clip lie within its range; the rest are clipped
MOST_VALUES = 1_000_000  # of one clip that are looked at, as torch's quantile allows 16 million


def calibrate(observed: Observed, features: Sequence[NDArray[np.float32]]) -> dict[str, float]:
    """The largest magnitude that each linear and convolutional layer reads, by its name in the checkpoint.

    Of every clip's features (frames, inputs) the magnitude that `SHARE` of a layer's inputs stay below is taken, and of
    these the largest. Layers that are better quantised row by row (`observed.skipped`) are left out.
    """
    largest: dict[str, float] = {}

    def look(name: str, inputs: Tensor) -> None:
        values = inputs.abs().flatten()
        values = values[:: max(1, len(values) // MOST_VALUES)].float()
        largest[name] = max(largest.get(name, 0.0), float(values.quantile(SHARE)))

    _observe(observed, features, look)
    return {name: value for name, value in largest.items() if not name.endswith(observed.skipped)}


def channel_magnitudes(observed: Observed, features: Sequence[NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """The largest magnitude of each input (inputs,) of every layer that is observed."""
    channels: dict[str, NDArray[np.float32]] = {}

    def look(name: str, inputs: Tensor) -> None:
        largest = inputs.abs().flatten(0, -2).max(0).values.float().cpu().numpy()
        channels[name] = np.maximum(channels[name], largest) if name in channels else largest

    _observe(observed, features, look)
    return channels


@torch.no_grad()
def _observe(observed: Observed, features: Sequence[NDArray[np.float32]], look: Callable[[str, Tensor], None]) -> None:
    """Run `features` and give `look` every layer's name and inputs, channels last."""
    device = next(observed.part.parameters()).device

    def watch(name: str) -> Any:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            look(name, inputs[0] if isinstance(module, nn.Linear) else inputs[0].transpose(1, -1))

        return hook

    hooks = [
        module.register_forward_pre_hook(watch(observed.prefix + name))
        for name, module in observed.part.named_modules() if isinstance(module, nn.Linear | nn.Conv1d)
    ]  # fmt: skip
    if observed.also is not None:
        reader, writer = observed.also
        hooks.append(writer.register_forward_hook(lambda module, inputs, output: look(reader, output)))
    try:
        for clip in features:
            observed.run(torch.from_numpy(clip)[None].to(device))
    finally:
        for hook in hooks:
            hook.remove()
