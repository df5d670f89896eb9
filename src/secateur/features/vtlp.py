"""Vocal tract length perturbation: training shifts formants, as a longer or a child's shorter vocal tract would.

A factor above 1 moves everything up (a shorter tract), below 1 down. Frequencies up to 4.8 kHz are multiplied by it,
those above lead on to half the sample rate, which stays (Jaitly and Hinton 2013, "Vocal tract length perturbation
improves speech recognition", eq. 1). On mel features that are already there: every bin reads where the warp brings it
from, between its neighbours there.

Harmonics move with the formants. `envelope` moves formants alone: the features are split into their envelope over
frequency and the rest, and only the envelope is warped (as formant modification does for children's speech, Kathania et
al. 2020, arXiv 2003.11332).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..audio.augment_options import AugmentOptions
from ..base.errors import SecateurError
from .front_end import FrontEnd

EDGE = 4800.0  # Hz, up to which frequencies are multiplied
SMOOTH = 3.0  # bins of a bank of 80: the standard deviation of the Gaussian that makes the envelope


def warped_from(hz: Tensor, factors: Tensor, top: float) -> Tensor:
    """Where the warp brings frequencies `hz` (bins,) from, (batch, bins) in Hz; `top` is half the sample rate.

    >>> warped_from(torch.tensor([1100.0, 8000.0]), torch.tensor([1.1]), 8000.0).tolist()
    [[1000.0, 8000.0]]
    """
    edge = min(EDGE, 0.6 * top)
    high = edge * factors.clamp_max(1.0)[:, None]  # where the multiplied part ends, after the warp
    low = high / factors[:, None]
    above = top - (top - low) / (top - high) * (top - hz)
    return torch.where(hz <= high, hz / factors[:, None], above)


class FrequencyWarp:
    """Warps batches of one front-end's features as `options` say.

    Raises:
        SecateurError: features without an axis of frequencies.
    """

    def __init__(self, options: AugmentOptions, front_end: FrontEnd, device: torch.device | str = "cpu") -> None:
        if front_end.by_sample or front_end.deltas or front_end.statics != front_end.bins:
            raise SecateurError(
                f"training.augment.warp_chance: {front_end.definition.title} have no axis of frequencies to warp; set "
                "it to 0"
            )
        self.options, self.top = options, front_end.sample_rate / 2
        centres = bin_centres(front_end)[list(front_end.reads)]
        self.hz = torch.tensor(centres, dtype=torch.float32, device=device)
        distances = np.arange(len(centres))[:, None] - np.arange(len(centres))
        smooth = np.exp(-0.5 * (distances / (SMOOTH * front_end.bins / 80)) ** 2)
        self.smooth = torch.tensor(smooth / smooth.sum(1, keepdims=True), dtype=torch.float32, device=device)

    def __call__(self, features: Tensor, generator: torch.Generator) -> Tensor:
        """`features` (batch, frames, bins), every row warped by its own factor or not at all; the generator decides."""
        rows = len(features)
        draws = torch.rand(2, rows, device=generator.device, generator=generator).to(features.device, non_blocking=True)
        low, high = (math.log(edge) for edge in self.options.warp)
        factors = (low + (high - low) * draws[0]).exp()
        factors = torch.where(draws[1] < self.options.warp_chance, factors, torch.ones_like(factors))
        return self.warped(features, factors)

    def warped(self, features: Tensor, factors: Tensor) -> Tensor:
        """`features` (batch, frames, bins) warped by `factors` (batch,); a row of factor 1 stays as it is."""
        bins = len(self.hz)
        source = warped_from(self.hz, factors, self.top).clamp(float(self.hz[0]), float(self.hz[-1]))
        upper = torch.searchsorted(self.hz, source).clamp(1, bins - 1)
        below, above = self.hz[upper - 1], self.hz[upper]
        share = ((source - below) / (above - below)).to(features.dtype)[:, None]

        def moved(x: Tensor) -> Tensor:
            index = upper[:, None].expand(-1, x.shape[1], -1)
            return torch.lerp(x.gather(2, index - 1), x.gather(2, index), share.expand_as(index))

        if self.options.warp_kind == "envelope":
            envelope = features @ self.smooth.T.to(features.dtype)
            result = features + moved(envelope) - envelope
        else:
            result = moved(features)
        return torch.where((factors == 1)[:, None, None], features, result)


def bin_centres(front_end: FrontEnd) -> NDArray[np.float64]:
    """Where each bin's filter peaks, in Hz (bins,): a filter ends where the next but one begins."""
    ends = front_end.definition.bin_ends(front_end)
    return np.concatenate([[ends[0] / 2], ends[:-1]])
