"""A front-end at a lower sample rate or with fewer frames, as close as can be to what its network was trained on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..base.errors import SecateurError
from ..base.files import Json
from .front_end import FrontEnd

_EVEN_HZ = 1000.0  # where pre-emphasis weighs the same at both rates


def resampled(front_end: FrontEnd, sample_rate: int) -> FrontEnd:
    """The front-end for audio at a lower rate: frames as long and as far apart, filters with the same centres.

    Bins whose filters reach beyond half the rate are removed (a cepstrum keeps all coefficients: see
    `kaldi.cepstrum`). Fewer samples a frame make a weaker spectrum, which `full_scale` makes up for: the bins that are
    left have the values that they had.

    >>> resampled(FrontEnd(), 8000).inputs
    61

    Raises:
        SecateurError: a rate that is not below the present one, or that leaves too little.
    """
    f = front_end
    if sample_rate == f.sample_rate:
        return f
    f.definition.reads_below(f, set(range(f.bins)))  # refuses kinds that can lose nothing
    if not 0 < sample_rate < f.sample_rate:
        raise SecateurError(f"sample_rate: {sample_rate} Hz is not below the model's {f.sample_rate} Hz")
    share = sample_rate / f.sample_rate
    window, hop, bins = 2 * round(f.window * share / 2), round(f.hop * share), set(f.below(sample_rate / 2))
    if window < 2 or hop < 1 or not bins:
        raise SecateurError(f"sample_rate: at {sample_rate} Hz nothing is left of the features")
    scale = f.full_scale * f.window / window * _emphasis(f, f.sample_rate) / _emphasis(f, sample_rate)
    kept = f.definition.reads_below(f, bins)
    if not kept:
        raise SecateurError(f"sample_rate: at {sample_rate} Hz none of the bins that the model reads is left")
    left = None if len(kept) == f.dimensions else kept
    kept_in: Json = {f.definition.kept_in: left}
    return replace(f, sample_rate=sample_rate, window=window, hop=hop, high_hz=f.top_hz, full_scale=scale, **kept_in)


def _emphasis(front_end: FrontEnd, sample_rate: int) -> float:
    """What pre-emphasis multiplies a tone of 1 kHz by at a sample rate."""
    return float(np.abs(1 - front_end.preemphasis * np.exp(-2j * np.pi * _EVEN_HZ / sample_rate)))


def spaced(front_end: FrontEnd, frame_ms: float) -> FrontEnd:
    """The front-end with frames further apart: every `frame_ms`, to the nearest sample.

    Raises:
        SecateurError: closer than they are, or so far apart that audio would be lost between the frames.
    """
    f = front_end
    hop = round(frame_ms * f.sample_rate / 1000)
    if hop == f.hop:
        return f
    if hop < f.hop:
        raise SecateurError(f"frame_shift_ms: {frame_ms:g} is below the model's {f.frame_ms:g}")
    if hop > f.window:
        longest = 1000 * f.window / f.sample_rate
        raise SecateurError(f"frame_shift_ms: {frame_ms:g} would leave gaps between frames of {longest:g} ms")
    return replace(f, hop=hop)
