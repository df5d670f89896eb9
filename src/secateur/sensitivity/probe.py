"""The protocol of measuring a model family, on which clips, and how any worker makes a probe from plain values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from ..audio.arrays import resample
from ..base.device import pick_device
from ..base.errors import SecateurError
from ..data.bank import AudioBank
from ..data.manifest import Utterance, read_manifest
from ..features.front_end import FrontEnd
from ..models.family import Member, TextCodec
from ..models.groups import Group
from ..models.network import Network
from ..prune.importance import Evidence
from ..weights.fetch import load_model
from .variants import Variant

EVIDENCE = 32  # clips that units are ranked by
RATES = (11025, 8000)  # Hz, lower than 16000
FRAME_FACTORS = (2, 3)  # how many frames become one


@dataclass(frozen=True)
class ProbeSpec:
    """Everything a worker needs to measure: it may be on another machine that sees the same files."""

    model: str
    data: tuple[str, ...]  # manifests
    limit: int | None = None  # clips of each manifest, spread over its speakers
    screen: int = 8  # clips that all variants are measured on; see `clips.parts_of`
    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    style: Literal["auto", "as-is", "sentence"] = "auto"
    batch_seconds: float | None = None
    threads: int | None = None


class Probe(Protocol):
    """A model on its clips, in which sites can be ablated one at a time."""

    model: Network
    utterances: list[Utterance]
    lengths: list[int]  # tokens (or units) of every clip's transcript: what a loss is divided by
    parts: list[list[int]]  # numbers of clips; see `clips.parts_of`

    def losses(self, variants: Sequence[Variant], part: int) -> Tensor:
        """Summed negative log-likelihood of every transcript of a part: (variants, clips of the part)."""

    def decoded(self, variants: Sequence[Variant]) -> tuple[Tensor, list[list[str]]]:
        """Losses on all clips (variants, clips), and each variant's greedy hypothesis of every clip."""

    def evidence(self, groups: Sequence[Group]) -> Evidence:
        """The evidence of importance criteria, from the first `EVIDENCE` clips."""

    def inputs(self) -> list[Variant]:
        """Variants of this family's inputs and outputs that are in no maskable group."""


probe_of = Member[Callable[[Network, TextCodec, list[Utterance], ProbeSpec, torch.device], Probe]]("probe").of


def read_clips(spec: ProbeSpec) -> list[Utterance]:
    """The clips to measure on; with a limit, every speaker of a manifest gives as many as its turn allows.

    Raises:
        SecateurError: several languages, or a clip without transcript.
    """

    utterances: list[Utterance] = []
    for path in spec.data:
        clips = [u for u in read_manifest(Path(path)) if u.text]
        utterances += [clips[i] for i in sorted(in_turn(clips)[: spec.limit or None])]
    languages = sorted({u.language for u in utterances})
    if len(languages) != 1:
        raise SecateurError(f"clips in one language are needed, found {', '.join(languages) or 'none'}")
    return utterances


def make_probe(spec: ProbeSpec) -> Probe:
    """Load the model and the clips.

    Raises:
        SecateurError: either cannot be read.
    """
    if spec.threads:
        torch.set_num_threads(spec.threads)
    device = pick_device(spec.device)
    if device.type == "cuda":
        torch.backends.cuda.enable_cudnn_sdp(False)  # it plans anew for every shape
    model, text = load_model(spec.model)
    return probe_of(model.config)(model.to(device).eval(), text, read_clips(spec), spec, device)


def in_turn(utterances: Sequence[Utterance]) -> list[int]:
    """Numbers of all clips, every speaker in turn."""
    queues: dict[str, list[int]] = {}
    for i, u in enumerate(utterances):
        queues.setdefault(u.speaker or u.id, []).append(i)
    depths = range(max(map(len, queues.values()), default=0))
    return [queue[depth] for depth in depths for queue in queues.values() if depth < len(queue)]


def parts_of(utterances: Sequence[Utterance], first: int) -> list[list[int]]:
    """Numbers of clips to screen on, part after part: `first` of them, every speaker in turn, then as many as
    before, up to half of all; the others are the last part. Without a `first` all clips are one part.
    """
    order = in_turn(utterances)
    ends: list[int] = []
    while 0 < first <= len(order) / 2 or (not ends and 0 < first < len(order)):
        ends.append(first)
        first *= 2
    return [sorted(order[a:b]) for a, b in zip([0, *ends], [*ends, len(order)], strict=True)]


def band_limited(bank: AudioBank, source_rate: int, rate: float) -> AudioBank:
    """The clips limited to the band of a recording at `rate` Hz: resampled down and up again."""
    clips = []
    for row in range(len(bank)):
        audio, lengths = bank.gather([row])
        clip = audio[0, : int(lengths[0])].cpu().numpy()
        back = resample(resample(clip, source_rate, rate), rate, source_rate)[: len(clip)]
        clips.append(np.clip(np.pad(back, (0, len(clip) - len(back))), -1, 1))
    return AudioBank(clips, bank.device)


def rate_variants(front: FrontEnd) -> list[Variant]:
    """Variants with lower sample rates and frame rates; waveform features have no frame rate."""
    variants = []
    for rate in RATES:
        if rate < front.sample_rate:
            share, change = round(1 - rate / front.sample_rate, 3), {"sample_rate": float(rate)}
            variants.append(Variant("sample_rate", "sample_rate", "input", "sample rate", share, change=change))
    for times in FRAME_FACTORS if not front.by_sample else ():
        share, change = round(1 - 1 / times, 3), {"frame_rate": round(1000 / front.frame_ms / times, 3)}
        variants.append(Variant("frame_rate", "frame_rate", "input", "frame rate", share, change=change))
    return variants


def repeated_frames(features: Tensor, times: int) -> Tensor:
    """Features (batch, frames, width) with every `times`-th frame repeated until the next."""
    steps = torch.arange(features.shape[1], device=features.device) // times * times
    return features[:, steps]


def changed_features(features: Tensor, change: dict[str, float], front_end: FrontEnd) -> Tensor:
    """Features (batch, frames, width) after a change of the input: a lower frame rate, or one input set to zero."""
    if "frame_rate" in change:
        features = repeated_frames(features, round(1000 / front_end.frame_ms / change["frame_rate"]))
    if "input" in change:
        keep = torch.ones(features.shape[2], device=features.device)
        keep[int(change["input"])] = 0.0
        features = features * keep
    return features
