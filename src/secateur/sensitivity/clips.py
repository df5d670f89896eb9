"""The clips that variants are measured on: the parts to screen on, and changed inputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..audio.arrays import resample
from ..data.bank import AudioBank
from ..data.manifest import Utterance
from ..features.front_end import FrontEnd
from .variants import Variant

RATES = (11025, 8000)  # Hz, lower than 16000
FRAME_FACTORS = (2, 3)  # how many frames become one


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
