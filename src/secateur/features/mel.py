"""Log-mel features in numpy, number for number as Whisper computes them (Radford et al. 2022, arXiv 2212.04356)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .banded import Band, apply_bands, in_bands
from .filterbank import mel_filters
from .frames import frames_of
from .front_end import FrontEnd

FLOOR = 1e-10  # mel power is clamped here before the logarithm
RANGE = 8.0  # log10 units kept below the clip's loudest value: 80 dB
_BLOCK = 96  # frames transformed at a time: what is in hand stays in the processor's cache
_LOG10 = np.float32(1 / np.log(10))  # numpy's natural logarithm is several times as fast as its log10


def hann(window: int) -> NDArray[np.float32]:
    """The periodic Hann window (window,)."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)).astype(np.float32)


@lru_cache(maxsize=16)
def _tables(sample_rate: int, window: int, bins: int) -> tuple[NDArray[np.float32], tuple[Band, ...]]:
    return hann(window), in_bands(mel_filters(sample_rate, window, bins))


def check_kind(front_end: FrontEnd) -> None:
    """Refuse the numbers of other features than Whisper's.

    Raises:
        ValueError: another kind.
    """
    if front_end.kind != "whisper":
        raise ValueError(f"this is Whisper's log-mel; for '{front_end.kind}' use features.extract or .extractor")


def log_mel(audio: NDArray[np.floating], front_end: FrontEnd, pad_to: int | None = None) -> NDArray[np.float32]:
    """Features (samples // hop, mels) of one clip (samples,) in [-1, 1] at the front-end's sample rate.

    Power of a Hann-windowed short-time spectrum, its ends reflected, through the mel filters, then
    `x = log10(max(power, 1e-10))` and `(max(x, max(x) - 8) + 4) / 4`. The maximum is over the clip and over all bins;
    `kept_bins` are chosen after it, so that all
    bins are computed. `pad_to` samples: silence is appended first, as for Whisper's 30 s windows.
    A clip shorter than a hop has no frame.

    Raises:
        ValueError: `audio` is not one channel, or longer than `pad_to`; a front-end of another kind.
    """
    check_kind(front_end)
    samples = np.asarray(audio, dtype=np.float32)
    if samples.ndim != 1:
        raise ValueError(f"audio must be one channel (samples,), found shape {samples.shape}")
    if pad_to is not None:
        if len(samples) > pad_to:
            raise ValueError(f"audio of {len(samples)} samples does not fit pad_to={pad_to}")
        samples = np.pad(samples, (0, pad_to - len(samples)))
    frames = len(samples) // front_end.hop
    if frames == 0:
        return np.zeros((0, front_end.inputs), np.float32)
    half = front_end.window // 2
    # np.pad reflects again and again where a clip is shorter than half a window.
    views = frames_of(np.pad(samples, half, mode="reflect"), front_end.window, front_end.hop)[:frames]
    window, bands = _tables(front_end.sample_rate, front_end.window, front_end.bins)
    mel = np.empty((frames, front_end.bins), np.float32)
    for start in range(0, frames, _BLOCK):
        spectrum = np.fft.rfft(views[start : start + _BLOCK] * window, axis=1)
        power = np.square(spectrum.real) + np.square(spectrum.imag)
        apply_bands(power.astype(np.float32, copy=False), bands, mel[start : start + _BLOCK])
    np.log(np.maximum(mel, FLOOR, out=mel), out=mel)
    mel *= _LOG10
    np.maximum(mel, mel.max() - np.float32(RANGE), out=mel)
    if front_end.kept_bins is not None:
        mel = mel[:, front_end.kept_bins]
    mel += np.float32(4)
    mel *= np.float32(0.25)
    return mel
