"""Augmentation of training batches on the device: speed, room, noise, telephone and gain, each drawn clip by clip."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .effects import add_noise, change_speed, real_samples, reverberate, telephone
from .noise_bank import NoiseBank

__all__ = ["AugmentOptions", "NoiseBank", "augment"]


@dataclass(frozen=True)
class AugmentOptions:
    """What is done to a clip, in this order. A chance is the share of clips; a pair is a range to draw evenly from.

    Rooms, telephones and gain are off until asked for: whether they help depends on where the model will listen.
    Log-mel features that are normalised by the clip's maximum, as Whisper's, hardly notice gain.
    """

    speeds: tuple[float, ...] = (0.9, 1.0, 1.1)  # one is drawn for every clip
    room_chance: float = 0.0
    rt60: tuple[float, ...] = (0.1, 0.6)  # s, until the reverberation is 60 dB down
    direct_db: tuple[float, ...] = (0.0, 12.0)  # dB, energy of the direct sound over the reverberation's
    noise_chance: float = 0.5  # with a noise bank
    snr_db: tuple[float, ...] = (5.0, 20.0)  # dB, speech over noise
    telephone_chance: float = 0.0
    gain_chance: float = 0.0
    gain_db: tuple[float, ...] = (-12.0, 6.0)

    def __post_init__(self) -> None:
        for name in ("rt60", "direct_db", "snr_db", "gain_db"):
            limits = getattr(self, name)
            if len(limits) != 2 or limits[0] > limits[1]:
                raise ValueError(f"{name}: expected two numbers, the lower first, found {limits}")
        for name in ("room_chance", "noise_chance", "telephone_chance", "gain_chance"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: expected a share from 0 to 1, found {getattr(self, name)}")
        if not self.speeds or min(self.speeds) < 0.5 or max(self.speeds) > 2:
            raise ValueError(f"speeds: expected one or more from 0.5 to 2, found {self.speeds}")
        if not 0 < self.rt60[0] <= self.rt60[1] <= 5:
            raise ValueError(f"rt60: expected seconds above 0 and up to 5, found {self.rt60}")


@torch.no_grad()
def augment(
    audio: Tensor, lengths: Tensor, options: AugmentOptions, generator: torch.Generator,
    noise: NoiseBank | None = None, sample_rate: int = 16000,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """New `(audio (batch, samples), lengths (batch,))`; padding is zero, a row beyond full scale is turned down.

    Speed changes lengths and the width. The generator decides everything: the same state gives the same batch.
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
        if set(options.speeds) != {1.0}:
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
