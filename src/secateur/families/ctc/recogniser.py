"""A CTC network in torch as a recogniser."""

from __future__ import annotations

import numpy as np
import torch

from ...decode.session import Floats, Ints
from ...models.network import FrameNetwork
from ...runtime.ctc_recogniser import CtcRecogniser
from ...text.units import Inventory


def recogniser_of(model: FrameNetwork, text: Inventory) -> CtcRecogniser:
    """A recogniser on the device that `model` is on."""
    device = next(model.parameters()).device

    def run(features: Floats, frames: Ints) -> tuple[Floats, Ints]:
        with torch.inference_mode():
            outputs, counts = model(torch.from_numpy(features).to(device), torch.from_numpy(frames).to(device))
        return outputs.cpu().numpy(), np.asarray(counts.cpu().numpy(), np.int64)

    return CtcRecogniser(model.config, text, run)
