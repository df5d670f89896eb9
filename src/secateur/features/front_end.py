"""The front-end's numbers; part of the checkpoint, so that training and runtime compute the same features.

`extract` has them in numpy, for the runtime; `extractor` in torch, for training.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ..base.errors import SecateurError, nearest
from ..base.files import Json
from ..base.plugins import Lazy, Registry
from .filterbank import htk_mel_to_hz, hz_to_htk_mel

if TYPE_CHECKING:
    from torch import nn


COMMON = ("sample_rate", "window", "hop", "bins", "kind")  # what every kind has


@dataclass(frozen=True)
class FrontEnd:
    """How a clip becomes features. The defaults are Whisper's log-mel; `front_end(kind)` has each kind's usual numbers.

    `kind` names a `Kind`: `whisper`, `fbank` or `mfcc` (both as in Kaldi), `nemo` (Parakeet's log-mel), `waveform` (the
    samples themselves), or one of another package. Which of the numbers below have a part is for the kind to say.

    `kept_bins` lists the mel bins that a network on Whisper's features still reads, out of `bins`, and `kept` the
    dimensions that one on other features still reads, out of `dimensions`; None means all of them. Only what is kept
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
    kind: str = "whisper"
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
        if self.kind not in KINDS:
            raise ValueError(
                f"features '{self.kind}' are not known here{nearest(self.kind, KINDS)} (known: {', '.join(KINDS)})"
            )
        for problem in _problems(self):
            raise ValueError(f"front-end: {problem}")

    @property
    def definition(self) -> Kind:
        """What computes these features."""
        return KINDS[self.kind]

    @property
    def by_sample(self) -> bool:
        """Whether a frame is a sample: there is no spectrum, and nothing to hide or to cut in it."""
        return self.definition.by_sample

    @property
    def reads(self) -> tuple[int, ...]:
        """Numbers of the features that reach the network, in its order, out of all `dimensions`."""
        kept: tuple[int, ...] | None = getattr(self, self.definition.kept_in)
        return tuple(range(self.dimensions)) if kept is None else kept

    @property
    def inputs(self) -> int:
        """Features a frame that reach the network."""
        return len(self.reads)

    @property
    def statics(self) -> int:
        """Features a frame before deltas, and before any was given up."""
        return self.definition.statics(self)

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
        return tuple(range(int((self.definition.bin_ends(self) <= hz + 1e-3).sum())))

    def frames(self, samples: int) -> int:
        """Frames of a clip of so many samples."""
        return self.definition.frames(self, samples)

    def keeping(self, units: list[int]) -> FrontEnd:
        """The front-end of a network that reads only `units`, numbers of its `inputs` as they are now."""
        kept = tuple(self.reads[unit] for unit in units)
        left = None if kept == tuple(range(self.dimensions)) else kept
        kept_in: Json = {self.definition.kept_in: left}
        return replace(self, **kept_in)


class Kind:
    """One kind of features: what its numbers mean, and how they are computed in numpy, in torch and in ONNX.

    A kind is a module beside this one with a subclass and its object, `KIND`; the parts in torch and ONNX may live in
    modules of their own, which are imported when they are asked for. It is known by its line in `KINDS`, or as an entry
    point `secateur.features` of another package.
    """

    name: ClassVar[str]
    title: ClassVar[str]  # in messages: "Whisper's features"
    usual: ClassVar[Mapping[str, Any]] = {}  # fields of `FrontEnd` that `front_end(name)` sets, but for window and hop
    uses: ClassVar[frozenset[str]] = frozenset()  # fields beside `COMMON` that have a part; others keep their defaults
    kept_in: ClassVar[Literal["kept", "kept_bins"]] = "kept"  # the field that lists what the network still reads
    in_torch: ClassVar[str] = ""  # "module:attribute" of what makes the `torch.nn.Module` of a front-end
    in_onnx: ClassVar[str] = ""  # and of what adds the features to a graph; see `graph`
    by_sample: ClassVar[bool] = False  # a frame is a sample
    streams: ClassVar[bool] = False  # a frame depends on the samples around it only, when nothing is normalised

    def problems(self, f: FrontEnd) -> list[str]:
        """What is wrong with numbers that have a part; of the others, anything but the default is refused."""
        return []

    def statics(self, f: FrontEnd) -> int:
        """Features a frame, before deltas."""
        return f.bins

    def frames(self, f: FrontEnd, samples: int) -> int:
        """Frames of a clip of so many samples."""
        return samples // f.hop

    def bin_ends(self, f: FrontEnd) -> NDArray[np.float64]:
        """Where each bin's filter ends, in Hz (bins,): here evenly spaced on HTK's mel scale."""
        bottom, top = hz_to_htk_mel(np.array([f.low_hz, f.top_hz]))
        ends: NDArray[np.float64] = htk_mel_to_hz(np.linspace(bottom, top, f.bins + 2))[2:]
        return ends

    def extract(self, samples: NDArray[np.float32], f: FrontEnd) -> NDArray[np.float32]:
        """Features (frames, inputs) of one clip (samples,)."""
        raise NotImplementedError

    def module(self, f: FrontEnd) -> nn.Module:
        """The same for padded batches in torch; see `extractor`."""
        return Lazy[Any](self.in_torch)()(f)  # type: ignore[no-any-return]

    def graph(self, g: object, samples: str, f: FrontEnd) -> str:
        """The same in ONNX: adds to `g` (an `export.graph.OnnxGraph`) what makes features (batch, frames, inputs) of
        `samples` (batch, n), clips of one length, and gives their name.

        Raises:
            SecateurError: these features are not written in ONNX.
        """
        if not self.in_onnx:
            raise SecateurError(f"{self.title} are not written inside a graph: export with features outside")
        return str(Lazy[Any](self.in_onnx)()(g, samples, f))

    def reads_below(self, f: FrontEnd, bins: set[int]) -> tuple[int, ...]:
        """Of the features that the network reads, those that are left when only `bins` are (a lower sample rate).

        Raises:
            SecateurError: these features cannot lose any.
        """
        raise SecateurError(f"sample_rate: {self.title} cannot lose bins")


KINDS: Registry[Kind] = Registry(
    "features",
    "kind of features",
    {name: Lazy(f"secateur.features.{name}:KIND") for name in ("whisper", "fbank", "mfcc", "waveform", "nemo")},
)
MOST_RATE, MOST_BINS = 384_000, 1024  # tables of these sizes are allocated before any audio is read


def _problems(f: FrontEnd) -> list[str]:
    """What is wrong with these numbers."""
    kind = f.definition
    if min(f.sample_rate, f.window, f.hop, f.bins) < 1:
        return ["sample_rate, window, hop and bins must be at least 1"]
    if f.sample_rate > MOST_RATE or max(f.window, f.hop) > MOST_RATE or max(f.bins, f.coefficients) > MOST_BINS:
        return [f"at most {MOST_RATE} samples a second or a window, and {MOST_BINS} bins, are computed here"]
    wrong = []
    for field in fields(f):
        without_part = field.name not in COMMON and field.name not in kind.uses
        if without_part and getattr(f, field.name) != kind.usual.get(field.name, field.default):
            having = " or ".join(f"'{name}'" for name in KINDS.own if field.name in KINDS[name].uses)
            hint = f"; list what '{f.kind}' keeps in {kind.kept_in}" if field.name in ("kept", "kept_bins") else ""
            wrong.append(f"{field.name} has no part in {kind.title}: it is for kind {having}{hint}")
    wrong += kind.problems(f)
    kept = getattr(f, kind.kept_in)
    if kept is not None and not (kept and all(0 <= one < f.dimensions for one in kept)):
        wrong.append(f"what is kept must be numbers from 0 to {f.dimensions - 1}, at least one")
    return wrong


def filters_fit(f: FrontEnd, bins: set[int] | None) -> list[str]:
    """A problem when filters do not lie within half the sample rate. Those of a lowered rate may reach beyond it where
    they are not among the `bins` that are still needed (None: all are)."""
    fits = 0 <= f.low_hz < f.top_hz
    if fits and f.top_hz > f.sample_rate / 2:
        fits = bins is not None and bins <= {*f.audible}
    return [] if fits else [f"filters from {f.low_hz:g} to {f.top_hz:g} Hz do not fit 0 to {f.sample_rate / 2:g} Hz"]


def front_end(kind: str, sample_rate: int = 16000, **changes: object) -> FrontEnd:
    """The usual front-end of a kind, with frames of 25 ms every 10 ms, but for `changes` to any field of `FrontEnd`.

    `fbank` has Kaldi's options with 80 filters, `mfcc` Kaldi's options without energy: 13 coefficients of 23 filters.

    >>> front_end("mfcc", 8000, deltas=2).inputs
    39

    Raises:
        SecateurError: no such kind or field, numbers that contradict each other.
    """
    if kind not in KINDS:
        raise SecateurError(f"features '{kind}' are not known here{nearest(kind, KINDS)} (known: {', '.join(KINDS)})")
    known = [field.name for field in fields(FrontEnd)]
    for name in changes:
        if name not in known:
            raise SecateurError(f"front-end: unknown field '{name}'{nearest(name, known)}")
    # Kaldi cuts frames to whole samples: 275 and 110 at 11025 Hz.
    frame = {"window": math.floor(sample_rate * 0.025), "hop": math.floor(sample_rate * 0.010)}
    try:
        return FrontEnd(**{"sample_rate": sample_rate, **frame, **KINDS[kind].usual, "kind": kind, **changes})
    except ValueError as problem:
        raise SecateurError(str(problem)) from problem


def extract(audio: NDArray[np.floating], front_end: FrontEnd) -> NDArray[np.float32]:
    """Features (frames, inputs) of one clip (samples,) in [-1, 1] at the front-end's sample rate.

    Raises:
        ValueError: `audio` is not one channel.
    """
    samples = np.asarray(audio, dtype=np.float32)
    if samples.ndim != 1:
        raise ValueError(f"audio must be one channel (samples,), found shape {samples.shape}")
    return front_end.definition.extract(samples, front_end)


def extractor(front_end: FrontEnd) -> nn.Module:
    """The module `(audio (batch, samples), lengths (batch,)) -> (features (batch, frames, inputs), frames (batch,))`.

    Each row has what `extract` gives for its clip alone, then zeros. It has no parameters and nothing to save. It also
    takes `input_mask` (inputs,), True for the inputs that a masked network still reads (`Recogniser.input_mask`).
    """
    return front_end.definition.module(front_end)
