"""The outputs of a CTC model for many clips, in torch, for decoding, validation and `evaluate`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from ...base.memory import in_halves
from ...base.progress import track
from ...data.bank import AudioBank, buckets
from ...features.extractor import extractor
from ...models.network import FrameNetwork


@torch.no_grad()
def log_probs_bank(
    model: FrameNetwork, bank: AudioBank, batch_seconds: float = 600.0, label: str = "", bf16: bool | None = None
) -> list[NDArray[np.float32]]:
    """Logarithms of probabilities (frames, units) of every clip in `bank`, in order, computed on the bank's device.

    `bf16` is what a GPU computes in unless it is False. A clip that is too short for one frame has none.
    """
    device, front_end = bank.device, model.config.front_end
    features = extractor(front_end).to(device)
    was_training = model.training
    model.eval()
    outputs_of = [np.zeros((0, model.config.units), np.float32)] * len(bank)
    seconds = [int(n) / front_end.sample_rate for n in bank.lengths]
    use_bf16 = device.type == "cuda" if bf16 is None else bf16

    def run(rows: Sequence[int]) -> list[NDArray[np.float32]]:
        inputs, frames = features(*bank.gather(rows), input_mask=model.input_mask)
        if not inputs.shape[1]:
            return [outputs_of[row] for row in rows]
        with torch.autocast(device.type, torch.bfloat16, enabled=use_bf16):
            log_probs, frames = model(inputs, frames)
        outputs = log_probs.cpu().numpy()
        return [output[:count].copy() for output, count in zip(outputs, frames.tolist(), strict=True)]

    for rows in track(buckets(seconds, batch_seconds, None), label, quiet=not label):
        for row, output in zip(rows, in_halves(run, rows, label or model.config.name or "decoding"), strict=True):
            outputs_of[row] = output
    model.train(was_training)
    return outputs_of
