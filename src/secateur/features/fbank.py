"""Kaldi's log-mel and cepstra in numpy.

Frames are float64 up to the power of the spectrum. Speech that was compressed has bands 100 dB below its loudest, and
float32's rounding in the transform, different in every library, would change their logarithm by thousandths.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from .cosine import cosine_rows
from .front_end import FrontEnd
from .kaldi import FLOOR, Needed, needed, transform_size, window_of

_BLOCK = 256  # frames transformed at a time: what is in hand stays in the processor's cache


def statics(audio: NDArray[np.float32], front_end: FrontEnd) -> NDArray[np.float32]:
    """The static features (frames, needed statics) of one clip (samples,): `fbank` or `mfcc` (see `kaldi.Needed`)."""
    part = needed(front_end)
    frames = front_end.frames(len(audio))
    out = np.empty((frames, len(part.statics)), np.float32)
    if frames == 0:
        return out
    window, cosine = _tables(front_end)
    views = sliding_window_view(_mirrored(audio, front_end, frames), front_end.window)[:: front_end.hop]
    for start in range(0, frames, _BLOCK):
        block = slice(start, min(start + _BLOCK, frames))
        samples = views[block] * np.float64(front_end.full_scale)
        if front_end.remove_dc:
            samples -= samples.mean(1, keepdims=True)
        if part.energy:
            out[block, 0] = np.log(np.maximum(np.einsum("ft,ft->f", samples, samples), FLOOR))
        if not part.bins:
            continue
        mel = np.log(np.maximum(_power(samples, front_end, window, part) @ part.filters, FLOOR))
        out[block, int(part.energy) :] = mel if cosine is None else mel @ cosine
    return out


def _power(
    samples: NDArray[np.float64], front_end: FrontEnd, window: NDArray[np.float64], part: Needed
) -> NDArray[np.float32]:
    """Power (frames, lines) of the lines of the spectrum that filters see."""
    if front_end.preemphasis:
        before = np.concatenate([samples[:, :1], samples[:, :-1]], axis=1)
        samples = samples - front_end.preemphasis * before
    spectrum = np.fft.rfft(samples * window, transform_size(front_end.window), axis=1)
    lines = spectrum[:, part.first : part.first + len(part.filters)]
    return (np.square(lines.real) + np.square(lines.imag)).astype(np.float32)


@lru_cache(maxsize=16)
def _tables(front_end: FrontEnd) -> tuple[NDArray[np.float64], NDArray[np.float32] | None]:
    """The window, and the cosine transform (bins, coefficients) of `mfcc`."""
    window = window_of(front_end.window_shape, front_end.window)
    if front_end.kind != "mfcc":
        return window, None
    part = needed(front_end)
    rows = cosine_rows(part.statics[int(part.energy) :], front_end.bins, front_end.lifter)
    return window, np.ascontiguousarray(rows.T)


def _mirrored(audio: NDArray[np.float32], front_end: FrontEnd, frames: int) -> NDArray[np.float32]:
    """The samples that frames cover; mirrored at the clip's ends unless frames are snipped there.

    The samples at the ends are repeated in the mirror; a clip shorter than the mirror is mirrored again.
    """
    if front_end.snip_edges:
        return audio
    before = front_end.window // 2 - front_end.hop // 2
    after = (frames - 1) * front_end.hop + front_end.window - before - len(audio)
    return np.pad(audio[max(0, -before) :], (max(0, before), max(0, after)), mode="symmetric")
