"""Effects on a batch of padded clips before recognition: speed, room, noise, telephone.

All take `audio` (batch, samples) and `lengths` (batch,), keep the padding zero and never wait for the device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

import torch
from torch import Tensor

_CROSSINGS = 24  # zero crossings on each side of the resampling filter
_ROLLOFF = 0.97  # of the lower Nyquist frequency
_TELEPHONE_HZ = (300.0, 3400.0)
_TELEPHONE_SECONDS = 0.025  # length of the band filter; its edges are about 130 Hz wide


def real_samples(audio: Tensor, lengths: Tensor) -> Tensor:
    """True (batch, samples) where a row's clip is, false in its padding."""
    return torch.arange(audio.shape[1], device=audio.device) < lengths[:, None]


def power(audio: Tensor, lengths: Tensor) -> Tensor:
    """Mean square (batch,) of each row's real samples."""
    return (audio.square() * real_samples(audio, lengths)).sum(1) / lengths.clamp_min(1)


def change_speed(audio: Tensor, lengths: Tensor, speeds: tuple[float, ...], choice: Tensor) -> tuple[Tensor, Tensor]:
    """Rows played `speeds[choice]` times as fast, pitch and tempo together (Ko et al. 2015), and their new lengths.

    Resampling with a windowed sinc. The width of the result is what the slowest of `speeds` needs, whichever were
    chosen; lengths become `ceil(length / speed)`. `choice` (batch,) are indices.
    """
    ratios = [Fraction(speed).limit_denominator(100) for speed in speeds]
    width = max(-(-audio.shape[1] * ratio.denominator // ratio.numerator) for ratio in ratios)
    audio = audio * real_samples(audio, lengths)
    result, new_lengths = audio.new_zeros(len(audio), width), lengths
    for number, ratio in enumerate(ratios):
        up, down = ratio.denominator, ratio.numerator
        chosen = choice == number
        played = audio if ratio == 1 else _resample(audio, up, down)
        played = torch.nn.functional.pad(played, (0, max(0, width - played.shape[1])))[:, :width]
        result = torch.where(chosen[:, None], played, result)
        new_lengths = torch.where(chosen, -(-lengths * up // down), new_lengths)
    return result * real_samples(result, new_lengths), new_lengths


def played_lengths(lengths: Sequence[int], speeds: tuple[float, ...], choice: Sequence[int]) -> list[int]:
    """What `change_speed` makes of `lengths` (samples), as plain numbers."""
    ratios = [Fraction(speed).limit_denominator(100) for speed in speeds]
    return [-(-n * ratios[c].denominator // ratios[c].numerator) for n, c in zip(lengths, choice, strict=True)]


def add_noise(audio: Tensor, lengths: Tensor, noise: Tensor, snr_db: Tensor) -> Tensor:
    """`audio` plus `noise` (batch, samples), scaled to `snr_db` (batch,): 10 log10 of speech power over noise power.

    Both powers are means over the row's real samples, pauses included. A silent row stays silent.
    """
    ratio = torch.pow(10.0, snr_db / 10)
    scale = (power(audio, lengths) / (power(noise, lengths) * ratio).clamp_min(1e-20)).sqrt()
    return audio + noise * scale[:, None] * real_samples(audio, lengths)


def reverberate(
    audio: Tensor, lengths: Tensor, rt60: Tensor, direct_db: Tensor, tail: Tensor, sample_rate: int
) -> Tensor:
    """Each row in a room: the direct sound, in place and alone in time zero, and noise that decays after it.

    Polack's model of a room's response: white noise `tail` (batch, response samples) times `10 ** (-3 t / rt60)`,
    which is 60 dB down after `rt60` (batch,) seconds. `direct_db` (batch,) is the energy of the direct sound over that
    of the tail. Length and mean power of the real samples stay; what rings on after the clip's end is cut.
    """
    time = torch.arange(1, tail.shape[1] + 1, device=audio.device) / sample_rate
    tail = tail * torch.pow(10.0, -3 * time / rt60[:, None])
    energy = torch.pow(10.0, -direct_db / 10)
    tail = tail * (energy / tail.square().sum(1).clamp_min(1e-20)).sqrt()[:, None]
    response = torch.nn.functional.pad(tail, (1, 0))
    response[:, 0] = 1.0
    real = real_samples(audio, lengths)
    audio = audio * real
    reverberant = _convolve(audio, response, 0) * real
    scale = (power(audio, lengths) / power(reverberant, lengths).clamp_min(1e-20)).sqrt()
    return reverberant * scale[:, None]


def telephone(audio: Tensor, lengths: Tensor, sample_rate: int) -> Tensor:
    """Each row through the band of a telephone, 300 to 3400 Hz, without delay; the sample rate stays."""
    response = _band(sample_rate, str(audio.device))
    real = real_samples(audio, lengths)
    return _convolve(audio * real, response[None], len(response) // 2) * real


def _convolve(audio: Tensor, response: Tensor, delay: int) -> Tensor:
    """Rows of `audio` convolved with rows of `response`, moved back by `delay` samples, at the same width."""
    size = fast_size(audio.shape[1] + response.shape[1] - 1)
    product = torch.fft.rfft(audio, size) * torch.fft.rfft(response, size)
    convolved: Tensor = torch.fft.irfft(product, size)
    return convolved[:, delay : delay + audio.shape[1]]


def fast_size(size: int) -> int:
    """The next of 4, 5, 6, 7 times a power of two: quick to transform, and few sizes to plan for."""
    step = 1 << max(0, (size - 1).bit_length() - 3)
    return -(-size // step) * step


def _resample(audio: Tensor, up: int, down: int) -> Tensor:
    """`up` samples for every `down` of `audio` (batch, samples)."""
    kernel = _sinc(up, down, str(audio.device))
    context = (len(kernel) - down) // 2
    blocks = -(-audio.shape[1] // down)
    padded = torch.nn.functional.pad(audio, (context, context + blocks * down - audio.shape[1]))
    # A product of matrices rather than a convolution, which GPUs compute with ten-bit mantissas by default.
    return (padded.unfold(1, len(kernel), down) @ kernel).flatten(1)


@lru_cache(maxsize=64)
def _sinc(up: int, down: int, device: str) -> Tensor:
    """Filters (taps, up): column i gives the signal at `i * down / up` samples after the block's first."""
    cutoff = _ROLLOFF * min(1.0, up / down)
    half = _CROSSINGS / cutoff
    context = math.ceil(half)
    taps = torch.arange(-context, down + context, dtype=torch.float64)[:, None]
    away = taps - torch.arange(up, dtype=torch.float64) * down / up
    window = torch.cos(math.pi / 2 * (away / half).clamp(-1, 1)).square()
    filters = torch.sinc(cutoff * away) * window
    return (filters / filters.sum(0)).float().to(device)


@lru_cache(maxsize=16)
def _band(sample_rate: int, device: str) -> Tensor:
    """The telephone's band as a symmetric filter (taps,): difference of two low passes in a Hamming window."""
    half = round(_TELEPHONE_SECONDS * sample_rate / 2)
    time = torch.arange(-half, half + 1, dtype=torch.float64)
    low, high = (2 * min(edge / sample_rate, 0.49) for edge in _TELEPHONE_HZ)
    band = high * torch.sinc(high * time) - low * torch.sinc(low * time)
    return (band * torch.hamming_window(2 * half + 1, periodic=False, dtype=torch.float64)).float().to(device)
