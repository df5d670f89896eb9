"""Features of padded batches in torch, of any kind: training's side of the definition (the runtime's is `extract`)."""

from __future__ import annotations

from torch import nn

from .front_end import FrontEnd


def extractor(front_end: FrontEnd) -> nn.Module:
    """The module `(audio (batch, samples), lengths (batch,)) -> (features (batch, frames, inputs), frames (batch,))`.

    Each row has what `extract` gives for its clip alone, then zeros. It has no parameters and nothing to save. It also
    takes `input_mask` (inputs,), True for the inputs that a masked network still reads (`Recogniser.input_mask`).
    """
    return front_end.definition.module(front_end)
