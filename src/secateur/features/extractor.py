"""Features of padded batches in torch, of any kind: training's side of the definition (the runtime's is `extract`)."""

from __future__ import annotations

from torch import nn

from .fbank_torch import Fbank
from .front_end import FrontEnd
from .mel_torch import LogMel
from .nemo_torch import NemoLogMel
from .waveform_torch import Waveform


def extractor(front_end: FrontEnd) -> nn.Module:
    """The module `(audio (batch, samples), lengths (batch,)) -> (features (batch, frames, inputs), frames (batch,))`.

    Each row has what `extract` gives for its clip alone, then zeros. It has no parameters and nothing to save. It also
    takes `heard` (inputs,), True for the inputs that a masked network still reads (`Recogniser.heard`).
    """
    if front_end.kind == "waveform":
        return Waveform(front_end)
    if front_end.kind == "nemo":
        return NemoLogMel(front_end)
    return LogMel(front_end) if front_end.kind == "whisper" else Fbank(front_end)
