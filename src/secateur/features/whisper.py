"""Log-mel features in numpy, number for number as Whisper computes them (Radford et al. 2022, arXiv 2212.04356)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .filterbank import Band, apply_bands, frames_of, in_bands, mel_corners, mel_filters
from .front_end import FrontEnd, Kind, filters_fit

FLOOR = 1e-10  # mel power is clamped here before the logarithm
RANGE = 8.0  # log10 units kept below the clip's loudest value: 80 dB
_BLOCK = 96  # frames transformed at a time, so that they stay in the processor's cache
_LOG10 = np.float32(1 / np.log(10))  # numpy's natural logarithm is several times as fast as its log10


def hann(window: int) -> NDArray[np.float32]:
    """The periodic Hann window (window,)."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)).astype(np.float32)


def kept_filters(front_end: FrontEnd) -> tuple[int, NDArray[np.float32]]:
    """What is left of the filterbank: the lowest line of the spectrum that a kept filter covers, and the filters
    (lines, kept bins) from there to the highest such line, times the front-end's full scale, squared."""
    f = front_end
    filters = mel_filters(f.sample_rate, f.window, f.bins, f.high_hz)
    if f.kept_bins is not None:
        filters = filters[:, f.kept_bins]
    lines = np.flatnonzero(filters.any(1))
    first, last = (int(lines[0]), int(lines[-1])) if len(lines) else (0, 0)
    return first, filters[first : last + 1] * np.float32(f.full_scale**2)


@dataclass(frozen=True, eq=False)
class _Tables:
    window: NDArray[np.float32]
    lines: slice
    bands: tuple[Band, ...]


@lru_cache(maxsize=16)
def _tables(front_end: FrontEnd) -> _Tables:
    first, filters = kept_filters(front_end)
    return _Tables(hann(front_end.window), slice(first, first + len(filters)), in_bands(filters))


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
    `x = log10(max(power, 1e-10))` and `(max(x, max(x) - 8) + 4) / 4`. Only `kept_bins` are computed, and the maximum
    is over the clip and over them. `pad_to` samples: silence is appended first, as for Whisper's 30 s windows.
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
    tables = _tables(front_end)
    mel = np.empty((frames, front_end.inputs), np.float32)
    for start in range(0, frames, _BLOCK):
        spectrum = np.fft.rfft(views[start : start + _BLOCK] * tables.window, axis=1)[:, tables.lines]
        power = np.square(spectrum.real) + np.square(spectrum.imag)
        apply_bands(power.astype(np.float32, copy=False), tables.bands, mel[start : start + _BLOCK])
    np.log(np.maximum(mel, FLOOR, out=mel), out=mel)
    mel *= _LOG10
    np.maximum(mel, mel.max() - np.float32(RANGE), out=mel)
    mel += np.float32(4)
    mel *= np.float32(0.25)
    return mel


class WhisperKind(Kind):
    """Whisper's log-mel, relative to the loudest of all that are computed."""

    name, title, kept_in = "whisper", "Whisper's features", "kept_bins"
    in_torch = "secateur.features.whisper_torch:LogMel"
    uses = frozenset({"kept_bins", "high_hz", "full_scale"})

    def problems(self, f: FrontEnd) -> list[str]:
        """See `Kind.problems`."""
        return filters_fit(f, None if f.kept_bins is None else {*f.kept_bins})

    def bin_ends(self, f: FrontEnd) -> NDArray[np.float64]:
        """Evenly spaced on Slaney's mel scale (bins,)."""
        return mel_corners(f.bins, f.top_hz)[2:]

    def extract(self, samples: NDArray[np.float32], f: FrontEnd) -> NDArray[np.float32]:
        """See `log_mel`."""
        return log_mel(samples, f)

    def reads_below(self, f: FrontEnd, bins: set[int]) -> tuple[int, ...]:
        """The bins that are left."""
        return tuple(b for b in f.reads if b in bins)


KIND = WhisperKind()
