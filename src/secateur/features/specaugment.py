"""SpecAugment: training hides stretches of time and bands of frequency (Park et al. 2019, arXiv 1904.08779)."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from .front_end import FrontEnd
from .specaugment_options import SpecAugmentOptions

__all__ = ["SpecAugmentOptions", "fitted", "spec_augment"]

USUAL_MS = 10.0  # from frame to frame, where `SpecAugmentOptions.time_width` is meant as it stands


def fitted(options: SpecAugmentOptions, front_end: FrontEnd) -> SpecAugmentOptions:
    """The options for a front-end with fewer bins or frames: masks hide as large a share of them, and as much time."""
    if front_end.by_sample:  # there is no frequency to hide, and a frame is a sample
        return replace(options, time_width=round(options.time_width * USUAL_MS / front_end.frame_ms), frequency_masks=0)
    return replace(
        options,
        time_width=max(1, round(options.time_width * USUAL_MS / max(front_end.frame_ms, USUAL_MS))),
        frequency_width=max(1, round(options.frequency_width * front_end.inputs / front_end.dimensions)),
    )


def spec_augment(mel: Tensor, frames: Tensor, options: SpecAugmentOptions, generator: torch.Generator) -> Tensor:
    """`mel` (batch, frames, mels) with masks of its own in every row, within the row's first `frames` (batch,).

    Hidden values become the mean of the row's real values: Park et al. hide with zero in features normalised to a
    mean of zero; Whisper's features are not, and its minimum would look like silence, which is information.
    Padding is left as it is. The generator decides everything; nothing waits for the device.
    """
    batch, most, bins = mel.shape
    frames = frames.to(mel.device)
    draws = torch.rand(
        2, batch, options.time_masks + options.frequency_masks, device=generator.device, generator=generator
    ).to(mel.device, non_blocking=True)
    in_time, in_frequency = draws[..., : options.time_masks], draws[..., options.time_masks :]
    widest = (frames * options.time_share).long().clamp_max(options.time_width)
    time = _masks(in_time, widest, frames, most)
    bin_count = torch.full_like(frames, bins)
    frequency = _masks(in_frequency, bin_count.clamp_max(options.frequency_width), bin_count, bins)
    real = torch.arange(most, device=mel.device) < frames[:, None]
    total = mel.masked_fill(~real[..., None], 0.0).sum((1, 2), dtype=torch.float32)
    mean = (total / (frames * bins).clamp_min(1)).to(mel.dtype)
    hidden = (time[..., None] | frequency[:, None]) & real[..., None]
    return torch.where(hidden, mean[:, None, None], mel)


def _masks(draws: Tensor, widest: Tensor, lengths: Tensor, size: int) -> Tensor:
    """True where hidden (batch, size): a mask for each of the draws (2, batch, masks), inside the first `lengths`."""
    width = _integers(draws[0], widest[:, None])
    start = _integers(draws[1], lengths[:, None] - width)
    positions = torch.arange(size, device=draws.device)
    return ((positions >= start[..., None]) & (positions < (start + width)[..., None])).any(1)


def _integers(draws: Tensor, most: Tensor) -> Tensor:
    """Integers from 0 to `most`, both included, for draws in [0, 1)."""
    return torch.minimum((draws * (most + 1)).long(), most)  # rounding can lift the product to most + 1
