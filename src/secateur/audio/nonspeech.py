"""Sound in which nobody speaks, made on the device: noise of any colour, hum, clicks, tones, chords, silence.

Every function gives (rows, samples) near a power of one and takes a torch generator, which decides everything.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

LEVEL_DB = (-70.0, -8.0)  # dBFS, drawn evenly


def even(rows: int, low: float, high: float, generator: torch.Generator, device: torch.device) -> Tensor:
    """Numbers (rows, 1), drawn evenly from `low` to `high`."""
    draws = torch.rand(rows, 1, device=generator.device, generator=generator).to(device)
    return low + (high - low) * draws


def noise(rows: int, samples: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """White noise (rows, samples) of variance 1."""
    return torch.randn(rows, samples, device=generator.device, generator=generator).to(device)


def transform_size(samples: int) -> int:
    """A power of two that holds `samples`: a GPU keeps a plan for every other size, and soon has no memory left."""
    return 1 << max(0, samples - 1).bit_length()


def coloured(rows: int, samples: int, rate: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """Noise whose power falls (or rises) with frequency by 1/f^a, a from -0.5 (bluish) to 2.5 (rumble)."""
    spectrum = torch.fft.rfft(noise(rows, transform_size(samples), generator, device))
    frequency = torch.linspace(0, rate / 2, spectrum.shape[1], device=device).clamp_min(20.0)
    shape = (frequency / 1000) ** (-even(rows, -0.5, 2.5, generator, device) / 2)
    sound: Tensor = torch.fft.irfft(spectrum * shape)[:, :samples]
    return sound


def hum(rows: int, samples: int, rate: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """Mains at about 50 or 60 Hz with its harmonics, in a little noise."""
    mains = torch.where(even(rows, 0, 1, generator, device) < 0.5, 50.0, 60.0)
    mains = mains * even(rows, 0.99, 1.01, generator, device)
    time = torch.arange(samples, device=device) / rate
    total = 0.1 * noise(rows, samples, generator, device)
    for harmonic in range(1, 9):
        phase = even(rows, 0, 2 * torch.pi, generator, device)
        total = total + even(rows, 0, 1 / harmonic, generator, device) * torch.sin(
            2 * torch.pi * mains * harmonic * time + phase
        )
    return total


def clicks(rows: int, samples: int, rate: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """Short decaying bursts at drawn moments, 0.2 to 20 a second: knocks, keys, a scratched record."""
    chance = 10 ** even(rows, -0.7, 1.3, generator, device) / rate
    draws = torch.rand(rows, samples, device=generator.device, generator=generator).to(device)
    strokes = (draws < chance) * noise(rows, samples, generator, device)
    decay = even(rows, 0.0005, 0.02, generator, device)
    taps = torch.exp(-torch.arange(round(0.1 * rate), device=device) / rate / decay)
    taps = taps * noise(rows, taps.shape[1], generator, device)
    size = transform_size(samples + taps.shape[1])
    sound: Tensor = torch.fft.irfft(torch.fft.rfft(strokes, size) * torch.fft.rfft(taps, size), size)[:, :samples]
    return sound


def tones(
    rows: int, samples: int, rate: int, generator: torch.Generator, device: torch.device, voices: int = 1
) -> Tensor:
    """Sines of 80 to 4000 Hz (one of several `voices`: a chord) that begin anew up to four times a second, or last."""
    time = torch.arange(samples, device=device) / rate
    beats = even(rows, -2, 4, generator, device).clamp_min(0)
    number = (time * beats).floor().long()
    most = int(samples / rate * 4) + 2
    pitch = torch.rand(voices, rows, most, device=generator.device, generator=generator).to(device)
    envelope = torch.where(beats > 0, torch.exp(-3 * (time * beats - number)), 1.0)
    total = torch.zeros(rows, samples, device=device)
    for voice in pitch:
        low = torch.log2(torch.tensor(80.0))
        hertz = 2 ** (low + voice.gather(1, number) * (torch.log2(torch.tensor(min(4000.0, 0.45 * rate))) - low))
        phase = torch.cumsum(2 * torch.pi * hertz / rate, 1)
        total = total + torch.sin(phase) + 0.3 * torch.sin(2 * phase)
    return total * envelope


def like(spectra: Tensor, samples: int, generator: torch.Generator) -> Tensor:
    """Noise with the magnitudes `spectra` (rows, bins): the spectrum of speech, without words."""
    spectrum = torch.fft.rfft(noise(len(spectra), transform_size(samples), generator, spectra.device))
    shape = torch.nn.functional.interpolate(spectra[:, None], spectrum.shape[1], mode="linear", align_corners=True)
    sound: Tensor = torch.fft.irfft(spectrum * shape[:, 0])[:, :samples]
    return sound


def long_term_spectrum(audio: Tensor) -> Tensor:
    """Mean magnitudes (batch, 257) of the clips `audio` (batch, samples)."""
    size = 512
    padded = torch.nn.functional.pad(audio, (0, -audio.shape[1] % size))
    window = torch.hann_window(size, device=audio.device)
    spectra: Tensor = torch.fft.rfft(padded.view(len(padded), -1, size) * window).abs()
    return spectra.square().mean(1).sqrt()


def silence(rows: int, samples: int, rate: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """Nothing at all, or the last bit's noise: half of the rows each."""
    dither = 2.0**-15 * noise(rows, samples, generator, device)
    return torch.where(even(rows, 0, 1, generator, device) < 0.5, dither, torch.zeros_like(dither))


GENERATORS: dict[str, Callable[[int, int, int, torch.Generator, torch.device], Tensor]] = {
    "coloured": coloured, "hum": hum, "clicks": clicks, "tones": tones, "chords": partial(tones, voices=4),
    "silence": silence,
}  # fmt: skip


def levelled(sound: Tensor, generator: torch.Generator) -> Tensor:
    """Rows at levels drawn evenly in dB, half of them swelling and fading a few times."""
    rows, samples = sound.shape
    power = sound.square().mean(1, keepdim=True)
    gain = torch.pow(10.0, even(rows, *LEVEL_DB, generator, sound.device) / 20)
    knots = torch.rand(rows, 1, 12, device=generator.device, generator=generator).to(sound.device)
    swell = torch.nn.functional.interpolate(knots, samples, mode="linear", align_corners=True)[:, 0]
    swell = torch.where(even(rows, 0, 1, generator, sound.device) < 0.5, swell, torch.ones_like(swell))
    return sound * (gain / power.clamp_min(1e-12).sqrt()) * swell
