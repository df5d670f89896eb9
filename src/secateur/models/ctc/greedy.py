"""The output of a CTC model for many clips, in torch: what decoding, validation and `evaluate` start from."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from ...base.progress import track
from ...data.bank import AudioBank, buckets
from ...features.extractor import extractor
from ..network import FrameRecogniser


@torch.no_grad()
def log_probs_bank(
    model: FrameRecogniser, bank: AudioBank, batch_seconds: float = 600.0, label: str = "", bf16: bool | None = None
) -> list[NDArray[np.float32]]:
    """Logarithms of probabilities (frames, units) of every clip in `bank`, in order, computed on the bank's device.

    `bf16` is what a GPU computes in unless it is False. A clip that is too short for one frame has none.
    """
    device, front_end = bank.device, model.config.front_end
    features = extractor(front_end).to(device)
    was_training = model.training
    model.eval()
    found = [np.zeros((0, model.config.units), np.float32)] * len(bank)
    seconds = [int(n) / front_end.sample_rate for n in bank.lengths]
    use_bf16 = device.type == "cuda" if bf16 is None else bf16
    for rows in track(buckets(seconds, batch_seconds, None), label, quiet=not label):
        inputs, frames = features(*bank.gather(rows), heard=model.heard)
        if not inputs.shape[1]:
            continue
        with torch.autocast(device.type, torch.bfloat16, enabled=use_bf16):
            log_probs, frames = model(inputs, frames)
        for row, output, count in zip(rows, log_probs.cpu().numpy(), frames.tolist(), strict=True):
            found[row] = output[:count].copy()
    model.train(was_training)
    return found
