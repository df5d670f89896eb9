"""Kaldi's log-mel and cepstra in numpy.

Frames are float64 up to the power of the spectrum. Speech that was compressed has bands 100 dB below its loudest, and
float32's rounding in the transform, different in every library, would change their logarithm by thousandths.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from .banded import Band, apply_bands, in_bands
from .cosine import cosine_rows
from .front_end import FrontEnd
from .kaldi import FLOOR, needed, transform_size, window_of

_BLOCK = 96  # frames transformed at a time: what is in hand stays in the processor's cache


@dataclass(frozen=True, eq=False)
class _Tables:
    window: NDArray[np.float64]
    bands: tuple[Band, ...]
    cosine: NDArray[np.float32] | None  # (bins, coefficients) of `mfcc`


def statics(audio: NDArray[np.float32], front_end: FrontEnd) -> NDArray[np.float32]:
    """The static features (frames, needed statics) of one clip (samples,): `fbank` or `mfcc` (see `kaldi.Needed`)."""
    part, tables = needed(front_end), _tables(front_end)
    frames, size, hop = front_end.frames(len(audio)), front_end.window, front_end.hop
    out = np.empty((frames, len(part.statics)), np.float32)
    if frames == 0:
        return out
    audio, share = _mirrored(audio, front_end, frames), front_end.preemphasis
    mel = np.empty((min(frames, _BLOCK), len(part.bins)), np.float32)
    for start in range(0, frames, _BLOCK):
        block = slice(start, min(start + _BLOCK, frames))
        samples = audio[start * hop : (block.stop - 1) * hop + size] * np.float64(front_end.full_scale)
        plain = sliding_window_view(samples, size)[::hop]
        mean = plain.mean(1) if front_end.remove_dc else np.zeros(len(plain))
        if part.energy:
            energy = np.square(plain - mean[:, None]).sum(1)
            out[block, 0] = np.log(np.maximum(energy, FLOOR))
        if not part.bins:
            continue
        # Frames overlap, so pre-emphasis goes over all of them at once; a frame's first sample stands before itself.
        emphasised = samples - share * np.concatenate([samples[:1], samples[:-1]])
        ready = sliding_window_view(emphasised, size)[::hop] - (1 - share) * mean[:, None]
        ready[:, 0] = (1 - share) * (plain[:, 0] - mean)
        ready *= tables.window
        lines = np.fft.rfft(ready, transform_size(size), axis=1)[:, part.first : part.first + len(part.filters)]
        power = (np.square(lines.real) + np.square(lines.imag)).astype(np.float32)
        here = mel[: len(plain)]
        apply_bands(power, tables.bands, here)
        np.log(np.maximum(here, FLOOR, out=here), out=here)
        out[block, int(part.energy) :] = here if tables.cosine is None else here @ tables.cosine
    return out


@lru_cache(maxsize=16)
def _tables(front_end: FrontEnd) -> _Tables:
    part, cosine = needed(front_end), None
    if front_end.kind == "mfcc":
        rows = cosine_rows(part.statics[int(part.energy) :], front_end.bins, front_end.lifter)
        cosine = np.ascontiguousarray(rows.T)
    return _Tables(window_of(front_end.window_shape, front_end.window), in_bands(part.filters), cosine)


def _mirrored(audio: NDArray[np.float32], front_end: FrontEnd, frames: int) -> NDArray[np.float32]:
    """The samples that frames cover; mirrored at the clip's ends unless frames are snipped there.

    The samples at the ends are repeated in the mirror; a clip shorter than the mirror is mirrored again.
    """
    if front_end.snip_edges:
        return audio
    before = front_end.window // 2 - front_end.hop // 2
    after = (frames - 1) * front_end.hop + front_end.window - before - len(audio)
    return np.pad(audio[max(0, -before) :], (max(0, before), max(0, after)), mode="symmetric")
