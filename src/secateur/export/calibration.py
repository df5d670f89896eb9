"""What int8-static needs to know: how large the inputs of each layer get, on recordings of the kind to come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..models.network import FrameRecogniser
from ..models.seq2seq.network import TokenRecogniser

SHARE = 0.9999  # of the values in a clip lie within its range; the rest are clipped
MOST_VALUES = 1_000_000  # of one clip that are looked at, as torch's quantile allows 16 million


@torch.no_grad()
def calibrate(model: TokenRecogniser | FrameRecogniser, features: Sequence[NDArray[np.float32]]) -> dict[str, float]:
    """The largest magnitude that each linear and convolutional layer reads, by its name in the checkpoint.

    Of every clip's features (frames, inputs) the magnitude that `SHARE` of a layer's inputs stay below is taken, and of
    these the largest.
    """
    found: dict[str, float] = {}
    device = next(model.parameters()).device
    hooks = []

    def watch(name: str) -> Any:
        def look(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            values = inputs[0].abs().flatten()
            values = values[:: max(1, len(values) // MOST_VALUES)].float()
            found[name] = max(found.get(name, 0.0), float(values.quantile(SHARE)))

        return look

    part = model if isinstance(model, FrameRecogniser) else model.encoder
    prefix = "" if isinstance(model, FrameRecogniser) else "encoder."
    for name, module in part.named_modules():
        if isinstance(module, nn.Linear | nn.Conv1d):
            hooks.append(module.register_forward_pre_hook(watch(prefix + name)))
    memory: list[Tensor] = []
    if isinstance(model, TokenRecogniser):
        hooks.append(model.encoder.norm.register_forward_hook(lambda module, inputs, output: memory.append(output)))
    try:
        for clip in features:
            batch = torch.from_numpy(clip)[None].to(device)
            if isinstance(model, TokenRecogniser):
                model.encode(batch)
            else:
                model(batch)
    finally:
        for hook in hooks:
            hook.remove()
    if memory:  # what cross-attention reads; its keys and values are one product in the encoder's graph
        found["decoder.layers.0.cross_attention.key"] = max(float(m.abs().float().quantile(SHARE)) for m in memory)
    return found
