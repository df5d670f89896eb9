"""Noise recordings in memory on the device that trains; stretches are drawn for a whole batch at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..base.errors import SecateurError, several
from .arrays import is_silent, resample
from .read import read_audio


class NoiseBank:
    """16-bit samples of every noise clip, end to end in one tensor (an hour at 16 kHz is 115 MB).

    Each clip is scaled to full scale first: how loud it becomes is decided by the signal-to-noise ratio.
    """

    def __init__(
        self, clips: Sequence[NDArray[np.floating]], device: str | torch.device = "cpu", sample_rate: int = 16000
    ) -> None:
        """`clips` are arrays (samples,), all at `sample_rate` Hz, which is the speech's.

        Raises:
            SecateurError: no clip, or one that is silent.
        """
        if not clips:
            raise SecateurError("a noise bank needs at least one clip")
        silent = [number for number, clip in enumerate(clips) if is_silent(clip, -100.0)]
        if silent:
            raise SecateurError(f"noise clip {silent[0]} is silent: leave it out")
        flat = [np.round(clip / np.abs(clip).max() * 32767).astype(np.int16) for clip in clips]
        self.device, self.sample_rate = torch.device(device), sample_rate
        self.samples = torch.from_numpy(np.concatenate(flat)).to(self.device)
        lengths = torch.tensor([len(clip) for clip in clips])
        self.starts = (torch.cumsum(lengths, 0) - lengths).to(self.device)
        self.lengths = lengths.to(self.device)

    @classmethod
    def read(
        cls, paths: Iterable[str | Path], sample_rate: int = 16000, device: str | torch.device = "cpu"
    ) -> NoiseBank:
        """The bank of the recordings `paths`, resampled to `sample_rate` Hz.

        Raises:
            SecateurError: a file that cannot be read or is silent, or no file.
        """
        files = list(several("NoiseBank.read", paths))
        clips = [read_audio(path, sample_rate) for path in files]
        for path, clip in zip(files, clips, strict=True):
            if is_silent(clip, -100.0):
                raise SecateurError(f"{path}: silent, of no use as noise: leave it out")
        return cls(clips, device, sample_rate)

    def at(self, sample_rate: int) -> NoiseBank:
        """The bank for speech at another rate."""
        if sample_rate == self.sample_rate:
            return self
        ends = zip(self.starts.tolist(), self.lengths.tolist(), strict=True)
        clips = [self.samples[a : a + n].cpu().numpy().astype(np.float32) / np.float32(32767) for a, n in ends]
        return NoiseBank([resample(c, self.sample_rate, sample_rate) for c in clips], self.device, sample_rate)

    def __len__(self) -> int:
        return len(self.lengths)

    def draw(self, rows: int, samples: int, generator: torch.Generator) -> Tensor:
        """Noise (rows, samples) in [-1, 1]: clips drawn evenly, from a drawn start, repeated when too short."""
        draws = torch.rand(2, rows, device=generator.device, generator=generator)
        draws = draws.to(self.device, torch.float64, non_blocking=True)
        clip = (draws[0] * len(self)).long()
        length = self.lengths[clip]
        start = (draws[1] * length).long()
        positions = (start[:, None] + torch.arange(samples, device=self.device)) % length[:, None]
        return self.samples[self.starts[clip][:, None] + positions].float() / 32767
