"""The front-end's numbers; part of the checkpoint, so that training and runtime compute the same features."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np

from ..base.errors import SecateurError, nearest
from .filterbank import htk_mel_to_hz, hz_to_htk_mel, mel_corners

# What Whisper's features have no part for; anything but the default is an error there.
_KALDI_ONLY = (
    "low_hz", "snip_edges", "remove_dc", "preemphasis", "window_shape", "energy",
    "coefficients", "lifter", "deltas", "normalise", "kept",
)  # fmt: skip


@dataclass(frozen=True)
class FrontEnd:
    """How a clip becomes features. The defaults are Whisper's log-mel; `front_end(kind)` has each kind's usual numbers.

    `kind` is `whisper` (see `secateur.features.mel`), `fbank` or `mfcc` (both as in Kaldi, see
    `secateur.features.kaldi`); `secateur.features.extract` and `.extractor` compute any of them. A frame of `fbank` is
    `[energy,] bins`, one of `mfcc` is `coefficients`, the first of which energy replaces; deltas and delta-deltas
    follow, each as wide as that. `waveform` is the samples themselves: a frame is one of them. `nemo` is Parakeet's
    log-mel (see `secateur.features.nemo`).

    `kept_bins` lists the mel bins that a network on Whisper's features still reads, out of `bins`, and `kept` the
    dimensions that one on `fbank` or `mfcc` still reads, out of `dimensions`; None means all of them. Only what is kept
    is computed.

    A front-end whose sample rate was lowered (see `secateur.features.rates`) keeps `high_hz`, so that its filters stay
    where they were; those beyond half the sample rate are not `audible` and are not kept.

    Raises:
        ValueError: numbers that contradict each other.
    """

    sample_rate: int = 16000  # Hz
    window: int = 400  # samples
    hop: int = 160  # samples, from one frame to the next
    bins: int = 80  # mel filters
    kept_bins: tuple[int, ...] | None = None
    kind: Literal["whisper", "fbank", "mfcc", "waveform", "nemo"] = "whisper"
    low_hz: float = 0.0  # where the lowest filter starts
    high_hz: float | None = None  # where the highest of all `bins` ends; None: half the sample rate
    full_scale: float = 1.0  # what the loudest sample counts as: Kaldi reads 16-bit numbers, 32768
    snip_edges: bool = False  # only frames that lie within the clip; False: the clip is mirrored at its ends
    remove_dc: bool = False  # subtract each frame's mean
    preemphasis: float = 0.0  # x[n] - preemphasis * x[n - 1]
    window_shape: Literal["hann", "hamming", "povey"] = "hann"
    energy: bool = False  # the logarithm of each frame's energy
    coefficients: int = 0  # of the cepstrum
    lifter: float = 0.0  # the cepstral lifter's length; 0: none
    deltas: int = 0  # how many derivatives over time: 0, 1 or 2
    normalise: Literal["none", "mean", "mean_variance"] = "none"  # over each clip, for each dimension by itself
    kept: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        for problem in _problems(self):
            raise ValueError(f"front-end: {problem}")

    @property
    def reads(self) -> tuple[int, ...]:
        """Numbers of the features that reach the network, in its order, out of all `dimensions`."""
        kept = self.kept_bins if self.kind == "whisper" else self.kept
        return tuple(range(self.dimensions)) if kept is None else kept

    @property
    def inputs(self) -> int:
        """Features a frame that reach the network."""
        return len(self.reads)

    @property
    def statics(self) -> int:
        """Features a frame before deltas, and before any was given up."""
        return self.coefficients if self.kind == "mfcc" else self.bins + self.energy

    @property
    def dimensions(self) -> int:
        """Features a frame before any was given up."""
        return self.statics * (1 + self.deltas)

    @property
    def frame_ms(self) -> float:
        """Milliseconds from one frame to the next."""
        return 1000 * self.hop / self.sample_rate

    @property
    def top_hz(self) -> float:
        """Where the highest filter ends, in Hz."""
        return self.sample_rate / 2 if self.high_hz is None else self.high_hz

    @property
    def audible(self) -> tuple[int, ...]:
        """The bins whose filters end at or below half the sample rate: the lowest ones."""
        return self.below(self.sample_rate / 2)

    def below(self, hz: float) -> tuple[int, ...]:
        """The bins whose filters end at or below `hz`."""
        if self.kind == "whisper":
            ends = mel_corners(self.bins, self.top_hz)[2:]
        else:
            bottom, top = hz_to_htk_mel(np.array([self.low_hz, self.top_hz]))
            ends = htk_mel_to_hz(np.linspace(bottom, top, self.bins + 2))[2:]
        return tuple(range(int((ends <= hz + 1e-3).sum())))

    def frames(self, samples: int) -> int:
        """Frames of a clip of so many samples."""
        if self.kind == "waveform":
            return samples
        if self.kind in ("whisper", "nemo"):
            return samples // self.hop
        if self.snip_edges:
            return max(0, (samples - self.window) // self.hop + 1)
        return (samples + self.hop // 2) // self.hop

    def keeping(self, units: list[int]) -> FrontEnd:
        """The front-end of a network that reads only `units`, numbers of its `inputs` as they are now."""
        kept = tuple(self.reads[unit] for unit in units)
        left = None if kept == tuple(range(self.dimensions)) else kept
        return replace(self, kept_bins=left) if self.kind == "whisper" else replace(self, kept=left)


MOST_RATE, MOST_BINS = 384_000, 1024  # tables of these sizes are made before anything is heard


def _problems(front_end: FrontEnd) -> list[str]:
    """What is wrong with these numbers."""
    f, found = front_end, []
    if min(f.sample_rate, f.window, f.hop, f.bins) < 1:
        found.append("sample_rate, window, hop and bins must be at least 1")
    if f.sample_rate > MOST_RATE or max(f.window, f.hop) > MOST_RATE or max(f.bins, f.coefficients) > MOST_BINS:
        return [f"at most {MOST_RATE} samples a second or a window, and {MOST_BINS} bins, are computed here"]
    if f.kind == "waveform":
        if (f.window, f.hop, f.bins, f.deltas, f.energy) != (1, 1, 1, 0, False) or f.kept is not None:
            found.append("a waveform has one input, one sample wide, and nothing else")
        return found
    if f.kind == "nemo":
        usual = {field.name: field.default for field in fields(f)} | {"normalise": "mean_variance"}
        for name in (*_KALDI_ONLY, "high_hz", "full_scale", "kept_bins"):
            if name != "preemphasis" and getattr(f, name) != usual[name]:
                found.append(f"{name} has no part in NeMo's features")
        return found
    if f.kind == "whisper":
        usual = {field.name: field.default for field in fields(f)}
        for name in _KALDI_ONLY:
            if getattr(f, name) != usual[name]:
                found.append(f"{name} has no part in Whisper's features; choose kind 'fbank' or 'mfcc'")
        kept, bins = f.kept_bins, f.kept_bins
    else:
        kept, bins = f.kept, None
        if f.kept is not None:
            bins = tuple(one % f.statics - f.energy for one in f.kept if one % f.statics >= f.energy)
        if f.kept_bins is not None:
            found.append(f"kept_bins is for kind 'whisper'; list what '{f.kind}' keeps in kept")
        if f.window < 2:
            found.append("window must be at least 2 samples")
        if f.deltas not in (0, 1, 2):
            found.append(f"deltas is 0, 1 or 2, found {f.deltas}")
        if f.kind == "mfcc" and not 1 <= f.coefficients <= f.bins:
            found.append(f"coefficients must be 1 to bins ({f.bins}), found {f.coefficients}")
        if f.kind == "fbank" and (f.coefficients or f.lifter):
            found.append("coefficients and lifter are for kind 'mfcc'")
    if kept is not None and not (kept and all(0 <= one < f.dimensions for one in kept)):
        found.append(f"what is kept must be numbers from 0 to {f.dimensions - 1}, at least one")
    elif not found:
        fits = 0 <= f.low_hz < f.top_hz
        if fits and f.top_hz > f.sample_rate / 2:  # a lowered rate: what is left must be below half of it
            fits = bool(f.audible) if f.kind == "mfcc" else bins is not None and set(bins) <= set(f.audible)
        if not fits:
            found.append(f"filters from {f.low_hz:g} to {f.top_hz:g} Hz do not fit 0 to {f.sample_rate / 2:g} Hz")
    return found


_KALDI: dict[str, Any] = {
    "low_hz": 20.0, "full_scale": 32768.0, "snip_edges": True, "remove_dc": True, "preemphasis": 0.97,
    "window_shape": "povey",
}  # fmt: skip
_USUAL: dict[str, dict[str, Any]] = {
    "whisper": {},
    "fbank": {**_KALDI, "kind": "fbank"},
    "mfcc": {**_KALDI, "kind": "mfcc", "bins": 23, "coefficients": 13, "lifter": 22.0},
    "waveform": {"kind": "waveform", "window": 1, "hop": 1, "bins": 1},
    "nemo": {"kind": "nemo", "preemphasis": 0.97, "normalise": "mean_variance"},
}


def front_end(kind: str, sample_rate: int = 16000, **changes: Any) -> FrontEnd:
    """The usual front-end of a kind, with frames of 25 ms every 10 ms, but for `changes` to any field of `FrontEnd`.

    `fbank` has Kaldi's options with 80 filters, `mfcc` Kaldi's options without energy: 13 coefficients of 23 filters.

    >>> front_end("mfcc", 8000, deltas=2).inputs
    39

    Raises:
        SecateurError: no such kind or field, numbers that contradict each other.
    """
    if kind not in _USUAL:
        raise SecateurError(f"features '{kind}' are not known here{nearest(kind, _USUAL)} (known: {', '.join(_USUAL)})")
    known = [field.name for field in fields(FrontEnd)]
    for name in changes:
        if name not in known:
            raise SecateurError(f"front-end: unknown field '{name}'{nearest(name, known)}")
    # Kaldi cuts frames to whole samples: 275 and 110 at 11025 Hz.
    frame = {"window": math.floor(sample_rate * 0.025), "hop": math.floor(sample_rate * 0.010)}
    try:
        return FrontEnd(**{"sample_rate": sample_rate, **frame, **_USUAL[kind], **changes})
    except ValueError as problem:
        raise SecateurError(str(problem)) from problem
