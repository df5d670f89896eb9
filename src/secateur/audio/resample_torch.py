"""Resampling of padded batches in torch, for a teacher with another sample rate than its student."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def resample_rows(audio: Tensor, lengths: Tensor, source_rate: int, target_rate: int) -> tuple[Tensor, Tensor]:
    """`audio` (batch, samples) and `lengths` (batch,) at `source_rate` Hz as they sound at `target_rate` Hz.

    Band-limited, through the Fourier transform of whole rows: frequencies beyond half the lower rate are removed.
    """
    if source_rate == target_rate:
        return audio, lengths
    common = math.gcd(source_rate, target_rate)
    up, down = target_rate // common, source_rate // common
    blocks = -(-audio.shape[1] // down)
    with torch.autocast(audio.device.type, enabled=False):
        spectrum = torch.fft.rfft(audio.float(), n=blocks * down)
        resampled = torch.fft.irfft(spectrum[:, : blocks * min(up, down) // 2 + 1], n=blocks * up) * (up / down)
    lengths = lengths * up // down
    inside = torch.arange(resampled.shape[1], device=audio.device) < lengths[:, None].to(audio.device)
    return resampled * inside, lengths
