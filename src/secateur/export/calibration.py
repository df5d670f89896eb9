"""Calibration for int8-static: the range of each layer's inputs, on recordings of the kind that the model will get."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .exporter import Observed

SHARE = 0.9999  # of the values in a clip lie within its range; the rest are clipped
MOST_VALUES = 1_000_000  # of one clip at most: torch's quantile takes 16 million


def calibrate(observed: Observed, features: Sequence[NDArray[np.float32]]) -> dict[str, float]:
    """The largest magnitude that each linear and convolutional layer reads, by its name in the checkpoint.

    It is the largest over clips, features (frames, inputs) each, of the `SHARE` quantile of a layer's input magnitudes.
    Layers that are better quantised row by row (`observed.skipped`) are left out.
    """
    largest: dict[str, float] = {}

    def record(name: str, inputs: Tensor) -> None:
        values = inputs.abs().flatten()
        values = values[:: max(1, len(values) // MOST_VALUES)].float()
        largest[name] = max(largest.get(name, 0.0), float(values.quantile(SHARE)))

    _record_inputs(observed, features, record)
    return {name: value for name, value in largest.items() if not name.endswith(observed.skipped)}


def channel_magnitudes(observed: Observed, features: Sequence[NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """The largest magnitude of each input (inputs,) of every layer that is observed."""
    channels: dict[str, NDArray[np.float32]] = {}

    def record(name: str, inputs: Tensor) -> None:
        largest = inputs.abs().flatten(0, -2).max(0).values.float().cpu().numpy()
        channels[name] = np.maximum(channels[name], largest) if name in channels else largest

    _record_inputs(observed, features, record)
    return channels


@torch.no_grad()
def _record_inputs(
    observed: Observed, features: Sequence[NDArray[np.float32]], record: Callable[[str, Tensor], None]
) -> None:
    """Run `features` and give `record` every layer's name and inputs, channels last."""
    device = next(observed.part.parameters()).device

    def hook_for(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            record(name, inputs[0] if isinstance(module, nn.Linear) else inputs[0].transpose(1, -1))

        return hook

    hooks = [
        module.register_forward_pre_hook(hook_for(observed.prefix + name))
        for name, module in observed.part.named_modules()
        if isinstance(module, nn.Linear | nn.Conv1d)
    ]
    if observed.also is not None:
        reader, writer = observed.also
        hooks.append(writer.register_forward_hook(lambda module, inputs, output: record(reader, output)))
    try:
        for clip in features:
            observed.run(torch.from_numpy(clip)[None].to(device))
    finally:
        for hook in hooks:
            hook.remove()
