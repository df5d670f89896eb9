"""Samples as features of padded batches in torch: row by row what `waveform.samples_as_features` gives."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .front_end import FrontEnd
from .waveform import LEAST_VARIANCE


class Waveform(nn.Module):
    """`(audio (batch, samples), lengths (batch,)) -> (features (batch, samples, 1), lengths)`; padding is zero."""

    def __init__(self, front_end: FrontEnd) -> None:
        super().__init__()
        self.normalised = front_end.normalise == "mean_variance"

    def forward(self, audio: Tensor, lengths: Tensor, input_mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """See the class; there is one input, so `input_mask` has no effect."""
        lengths = lengths.to(audio.device)
        real = torch.arange(audio.shape[1], device=audio.device) < lengths[:, None]
        audio = audio.float().masked_fill(~real, 0.0)
        if self.normalised:
            exact, count = audio.double(), lengths.clamp_min(1)[:, None]
            apart = (exact - exact.sum(1, keepdim=True) / count).masked_fill(~real, 0.0)
            variance = apart.square().sum(1, keepdim=True) / count
            audio = (apart * torch.rsqrt(variance + LEAST_VARIANCE)).float()
        return audio[..., None], lengths
