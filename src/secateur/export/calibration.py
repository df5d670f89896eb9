"""What int8-static needs to know: how large the inputs of each layer get, on recordings of the kind to come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..families.seq2seq.network import TokenRecogniser
from ..models.network import FrameRecogniser

SHARE = 0.9999  # of the values in a clip lie within its range; the rest are clipped
MOST_VALUES = 1_000_000  # of one clip that are looked at, as torch's quantile allows 16 million
BEHIND_GELU = ("encoder.conv2", "ffn.down")  # of a Whisper: some rows tower above all others


def calibrate(model: TokenRecogniser | FrameRecogniser, features: Sequence[NDArray[np.float32]]) -> dict[str, float]:
    """The largest magnitude that each linear and convolutional layer reads, by its name in the checkpoint.

    Of every clip's features (frames, inputs) the magnitude that `SHARE` of a layer's inputs stay below is taken, and of
    these the largest. Layers that are better quantised row by row are left out.
    """
    found: dict[str, float] = {}

    def look(name: str, inputs: Tensor) -> None:
        values = inputs.abs().flatten()
        values = values[:: max(1, len(values) // MOST_VALUES)].float()
        found[name] = max(found.get(name, 0.0), float(values.quantile(SHARE)))

    _listen(model, features, look)
    if isinstance(model, TokenRecogniser):
        found = {name: value for name, value in found.items() if not name.endswith(BEHIND_GELU)}
    return found


def channel_magnitudes(
    model: TokenRecogniser, features: Sequence[NDArray[np.float32]]
) -> dict[str, NDArray[np.float32]]:
    """The largest magnitude of each input (inputs,) of the encoder's layers, and of what cross-attention reads."""
    found: dict[str, NDArray[np.float32]] = {}

    def look(name: str, inputs: Tensor) -> None:
        largest = inputs.abs().flatten(0, -2).max(0).values.float().cpu().numpy()
        found[name] = np.maximum(found[name], largest) if name in found else largest

    _listen(model, features, look)
    return found


@torch.no_grad()
def _listen(
    model: TokenRecogniser | FrameRecogniser, features: Sequence[NDArray[np.float32]],
    look: Callable[[str, Tensor], None],
) -> None:  # fmt: skip
    """Run `features` and give `look` every layer's name and inputs, channels last."""
    device = next(model.parameters()).device
    part = model if isinstance(model, FrameRecogniser) else model.encoder
    prefix = "" if isinstance(model, FrameRecogniser) else "encoder."

    def watch(name: str) -> Any:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            look(name, inputs[0] if isinstance(module, nn.Linear) else inputs[0].transpose(1, -1))

        return hook

    hooks = [
        module.register_forward_pre_hook(watch(prefix + name))
        for name, module in part.named_modules() if isinstance(module, nn.Linear | nn.Conv1d)
    ]  # fmt: skip
    if isinstance(model, TokenRecogniser):
        # What cross-attention reads; its keys and values are one product in the encoder's graph.
        first = "decoder.layers.0.cross_attention.key"
        hooks.append(model.encoder.norm.register_forward_hook(lambda module, inputs, output: look(first, output)))
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
