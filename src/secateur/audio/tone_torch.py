"""`audio.tone` for padded batches on the device: `audio` (batch, samples) with `lengths` (batch,); nothing waits."""

from __future__ import annotations

import torch
from torch import Tensor

from .tone import ABOVE, BELOW_LOUD, FLOOR_DB, FRAME, GRAIN, STRETCH


def levels(audio: Tensor, lengths: Tensor, rate: int) -> tuple[Tensor, Tensor]:
    """dBFS of every 20 ms (batch, frames), and which frames are whole ones of the clip."""
    size = round(FRAME * rate)
    count = max(1, audio.shape[1] // size)
    padded = torch.nn.functional.pad(audio, (0, max(0, size - audio.shape[1])))[:, : count * size]
    power = padded.view(len(padded), count, size).square().mean(2)
    real = torch.arange(count, device=audio.device) < (lengths.to(audio.device) // size).clamp_min(1)[:, None]
    return (10 * torch.log10(power + 1e-12)).clamp_min(FLOOR_DB), real


def edges(audio: Tensor, lengths: Tensor, rate: int) -> Tensor:
    """Samples (batch, 2) at which each clip's speech begins and ends, by energy, to 20 ms.

    Speech is what stands out of the clip's own quietest tenth by three tenths of the way to its loudest twentieth
    (in dB) for 60 ms; a clip in which nothing stands out is speech from end to end.
    """
    db, real = levels(audio, lengths, rate)
    spread = db.masked_fill(~real, torch.nan)
    floor, loud = torch.nanquantile(spread, torch.tensor([0.1, 0.95], device=db.device), dim=1)
    threshold = torch.minimum(floor + ABOVE * (loud - floor), loud - BELOW_LOUD)[:, None]
    smooth = torch.nn.functional.avg_pool1d(db[:, None], 3, 1, 1, count_include_pad=False)[:, 0]
    spoken = (smooth >= threshold) & real
    frames = torch.arange(db.shape[1], device=db.device)
    first = torch.where(spoken, frames, db.shape[1]).amin(1)
    last = torch.where(spoken, frames, -1).amax(1)
    size = round(FRAME * rate)
    none = last < 0
    length = lengths.to(audio.device)
    start = torch.where(none, 0, first * size)
    end = torch.where(none, length, torch.minimum((last + 1) * size, length))
    return torch.stack([start, end], 1)


def quiet_moment(audio: Tensor, lengths: Tensor, rate: int, shares: Tensor) -> Tensor:
    """Samples (batch,): each clip's quietest moment (100 ms) between the two `shares` (batch, 2) of its speech."""
    db, real = levels(audio, lengths, rate)
    around = torch.nn.functional.avg_pool1d(db[:, None], 5, 1, 2)[:, 0]
    size = round(FRAME * rate)
    start, end = (edges(audio, lengths, rate).float() / size).unbind(1)
    low, high = (start[:, None] + shares * (end - start)[:, None]).round().unbind(1)
    frames = torch.arange(db.shape[1], device=db.device)
    inside = (frames >= low[:, None]) & (frames < torch.maximum(high, low + 1)[:, None]) & real
    return torch.minimum(around.masked_fill(~inside, torch.inf).argmin(1) * size + size // 2, lengths.to(audio.device))


def quietest(audio: Tensor, lengths: Tensor, rate: int) -> Tensor:
    """Samples (batch,) at which each clip's quietest stretch of `STRETCH` s begins; digital silence is left aside."""
    db, real = levels(audio, lengths, rate)
    width = min(round(STRETCH / FRAME), db.shape[1])
    # Dead samples at an end are no room tone: quieter than any microphone.
    counted = torch.where(real & (db > FLOOR_DB), db, 0.0)
    mean = torch.nn.functional.avg_pool1d(counted[:, None], width, 1)[:, 0]
    return mean.argmin(1) * round(FRAME * rate)


def room_tone(audio: Tensor, lengths: Tensor, sources: Tensor, rate: int, generator: torch.Generator) -> Tensor:
    """Tone (rows, samples) of the rooms of the clips `sources` (rows, grains), half a `GRAIN` for each of them.

    Grains drawn from the clip's quietest stretch, their signs too, overlap by half under a sine window: the power
    stays, and no audible period is left.
    """
    size = round(GRAIN * rate) // 2 * 2
    hop = size // 2
    rows, grains = sources.shape
    starts = quietest(audio, lengths, rate)
    room = (torch.minimum(torch.full_like(starts, round(STRETCH * rate)), lengths.to(audio.device)) - size).clamp_min(0)
    draws = torch.rand(2, rows, grains, device=generator.device, generator=generator).to(audio.device)
    begin = starts[sources] + (draws[0] * (room[sources] + 1)).long()
    sign = (draws[1] < 0.5).to(audio.dtype) * 2 - 1
    window = torch.sin(torch.pi * (torch.arange(size, device=audio.device) + 0.5) / size)
    positions = (begin[..., None] + torch.arange(size, device=audio.device)).clamp_max(audio.shape[1] - 1)
    cut = audio[sources[..., None], positions] * window * sign[..., None]
    first, second = cut[..., :hop], cut[..., hop:]
    tone = first + torch.nn.functional.pad(second, (0, 0, 1, 0))[:, :-1]
    return tone.flatten(1)
