"""Augmentation of training batches on the device: speed, room, noise, telephone and gain, each drawn clip by clip."""

from __future__ import annotations

import torch
from torch import Tensor

from .augment_options import AugmentOptions
from .effects import add_noise, change_speed, real_samples, reverberate, telephone
from .noise_bank import NoiseBank

__all__ = ["AugmentOptions", "NoiseBank", "augment"]


@torch.no_grad()
def augment(
    audio: Tensor, lengths: Tensor, options: AugmentOptions, generator: torch.Generator,
    noise: NoiseBank | None = None, sample_rate: int = 16000, speed: bool = True,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """New `(audio (batch, samples), lengths (batch,))`; padding is zero, a row beyond full scale is turned down.

    Speed changes lengths and the width; without `speed` it stays as it is. The generator decides everything: the same
    state gives the same batch.
    """
    rows = len(audio)
    device = audio.device

    def even(low: float, high: float) -> Tensor:
        draws = torch.rand(rows, device=generator.device, generator=generator)
        return low + (high - low) * draws.to(device, non_blocking=True)

    def some(chance: float, changed: Tensor) -> Tensor:
        return torch.where((even(0, 1) < chance)[:, None], changed, audio)

    with torch.autocast(device.type, enabled=False):
        audio, lengths = audio.float(), lengths.to(device)
        audio = audio * real_samples(audio, lengths)
        if speed and set(options.speeds) != {1.0}:
            choice = even(0, len(options.speeds)).long().clamp_max(len(options.speeds) - 1)
            audio, lengths = change_speed(audio, lengths, options.speeds, choice)
        if options.room_chance > 0:
            taps = round(options.rt60[1] * sample_rate)
            tail = torch.randn(rows, taps, device=generator.device, generator=generator).to(device, non_blocking=True)
            rt60, direct = even(*options.rt60), even(*options.direct_db)
            audio = some(options.room_chance, reverberate(audio, lengths, rt60, direct, tail, sample_rate))
        if noise is not None and options.noise_chance > 0:
            drawn = noise.draw(rows, audio.shape[1], generator).to(device)
            audio = some(options.noise_chance, add_noise(audio, lengths, drawn, even(*options.snr_db)))
        if options.telephone_chance > 0:
            audio = some(options.telephone_chance, telephone(audio, lengths, sample_rate))
        if options.gain_chance > 0:
            audio = some(options.gain_chance, audio * torch.pow(10.0, even(*options.gain_db) / 20)[:, None])
        # Turned down rather than clipped: the signal-to-noise ratio stays what was drawn.
        return audio / audio.abs().amax(1, keepdim=True).clamp_min(1.0), lengths
