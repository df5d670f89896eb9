"""Kaldi's log-mel and cepstra in numpy.

Frames are float64 up to the power of the spectrum. Speech that was compressed has bands 100 dB below its loudest, and
float32's rounding in the transform, different in every library, would change their logarithm by thousandths.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .filterbank import Band, append_deltas, apply_bands, frames_of, in_bands, normalise
from .front_end import FrontEnd, Kind, filters_fit
from .kaldi import FLOOR, cepstrum, needed, transform_size, window_of

_BLOCK = 128  # frames transformed at a time, so that they stay in the processor's cache


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
    transform, most = transform_size(size), min(frames, _BLOCK)
    padded, spectrum = np.zeros((most, transform)), np.empty((most, transform // 2 + 1), np.complex128)
    for start in range(0, frames, _BLOCK):
        block = slice(start, min(start + _BLOCK, frames))
        samples = audio[start * hop : (block.stop - 1) * hop + size] * np.float64(front_end.full_scale)
        plain = frames_of(samples, size, hop)
        mean = _means(samples, size, hop) if front_end.remove_dc else np.zeros(len(plain))
        if part.energy:
            out[block, 0] = np.log(np.maximum(np.square(plain - mean[:, None]).sum(1), FLOOR))
        if not part.bins:
            continue
        # Frames overlap, so pre-emphasis goes over all of them at once; a frame's first sample stands before itself.
        emphasised = samples - share * np.concatenate([samples[:1], samples[:-1]])
        ready = padded[: len(plain), :size]
        np.subtract(frames_of(emphasised, size, hop), (1 - share) * mean[:, None], out=ready)
        ready[:, 0] = (1 - share) * (plain[:, 0] - mean)
        ready *= tables.window
        lines = np.fft.rfft(padded[: len(plain)], axis=1, out=spectrum[: len(plain)])
        lines = lines[:, part.first : part.first + len(part.filters)]
        mel = np.empty((len(plain), len(part.bins)), np.float32)
        apply_bands((np.square(lines.real) + np.square(lines.imag)).astype(np.float32), tables.bands, mel)
        np.log(np.maximum(mel, FLOOR, out=mel), out=mel)
        out[block, int(part.energy) :] = mel if tables.cosine is None else mel @ tables.cosine
    return out


def _means(samples: NDArray[np.float64], size: int, hop: int) -> NDArray[np.float64]:
    """The mean of each frame, from running sums."""
    sums = np.concatenate([[0.0], np.cumsum(samples)])
    means: NDArray[np.float64] = (sums[size::hop] - sums[: len(sums) - size : hop]) / size
    return means


@lru_cache(maxsize=16)
def _tables(front_end: FrontEnd) -> _Tables:
    part = needed(front_end)
    cosine = cepstrum(front_end) if front_end.coefficients else None
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


class FbankKind(Kind):
    """Kaldi's log-mel: a frame is `[energy,] bins`; deltas and delta-deltas follow, each as wide as that."""

    name, title, streams = "fbank", "Kaldi's log-mel", True
    in_torch, in_onnx = "secateur.features.fbank_torch:Fbank", "secateur.export.kaldi_features:features_graph"
    usual: ClassVar[Mapping[str, Any]] = {
        "low_hz": 20.0, "full_scale": 32768.0, "snip_edges": True, "remove_dc": True, "preemphasis": 0.97,
        "window_shape": "povey",
    }  # fmt: skip
    uses = frozenset({*usual, "high_hz", "energy", "deltas", "normalise", "kept"})

    def problems(self, f: FrontEnd) -> list[str]:
        """See `Kind.problems`."""
        wrong = ["window must be at least 2 samples"] if f.window < 2 else []
        wrong += [f"deltas is 0, 1 or 2, found {f.deltas}"] if f.deltas not in (0, 1, 2) else []
        return wrong or self.filter_problems(f)

    def filter_problems(self, f: FrontEnd) -> list[str]:
        """Filters that are still needed lie below half the sample rate."""
        if f.kept is None:
            return filters_fit(f, None)
        return filters_fit(f, {one % f.statics - f.energy for one in f.kept if one % f.statics >= f.energy})

    def statics(self, f: FrontEnd) -> int:
        """Bins, and the energy before them."""
        return f.bins + f.energy

    def frames(self, f: FrontEnd, samples: int) -> int:
        """See `Kind.frames`."""
        if f.snip_edges:
            return max(0, (samples - f.window) // f.hop + 1)
        return (samples + f.hop // 2) // f.hop

    def extract(self, samples: NDArray[np.float32], f: FrontEnd) -> NDArray[np.float32]:
        """Static features, their deltas, normalised over the clip, of which the kept ones are given."""
        features = append_deltas(statics(samples, f), f.deltas)
        columns = needed(f).columns
        return normalise(features if columns is None else features[:, columns], f.normalise)

    def reads_below(self, f: FrontEnd, bins: set[int]) -> tuple[int, ...]:
        """The bins that are left; the energy, which has no filter, stands before them."""
        return tuple(d for d in f.reads if d % f.statics < f.energy or d % f.statics - f.energy in bins)


KIND = FbankKind()
