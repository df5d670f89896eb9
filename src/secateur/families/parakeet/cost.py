"""What a Parakeet costs, from its config alone: stored values, and multiply-accumulates (no torch)."""

from __future__ import annotations

from collections.abc import Iterator

from ..ctc.cost import PartCost, by_kind
from ..transformers_ctc.cost import block_parts
from .config import ParakeetConfig

TAPS = 9  # of a 3 x 3 convolution


def parts(config: ParakeetConfig, frames: int) -> Iterator[PartCost]:
    """All parts for a clip of so many frames of features, named as in `Parakeet.groups` without the prefix."""
    before, lines = 0, config.front_end.bins
    for i, channels in enumerate(config.convs):
        frames, lines = (frames + 1) // 2, lines // 2
        if i == 0:
            stored, macs = (TAPS + 1) * channels, TAPS * channels
        else:  # each channel by itself, then all
            stored, macs = (TAPS + 1) * before + (before + 1) * channels, (TAPS + channels) * before
        yield PartCost(f"subsampling.{i}", stored, frames * lines * macs)
        before = channels
    flat, w = before * lines, config.width
    yield PartCost("subsampling.linear", (flat + 1) * w, frames * flat * w)
    linear, conv = config.biases
    *read, left = config.frames_read(frames)
    for i, (block, frames) in enumerate(zip(config.layers, read, strict=True)):
        yield from block_parts(f"layers.{i}", block, w, config.head_size, config.taps, frames, True, linear, conv)
    if config.merge_weights:
        yield PartCost("merges", config.merge_weights * w, 0)
    yield PartCost("output", (w + 1) * config.units, left * w * config.units)


def count_parameters(config: ParakeetConfig) -> int:
    """Values stored in the network, which equal the sum over the real `state_dict`."""
    return sum(part.stored for part in parts(config, 0))


def macs_by_part(config: ParakeetConfig, seconds: float) -> dict[str, int]:
    """Multiply-accumulates for one clip of `seconds`, layers of a kind together.

    Not counted, below 1 % together: biases, norms, activations, softmax, features.
    """
    frames = config.front_end.frames(round(seconds * config.front_end.sample_rate))
    return by_kind((part.name, part.macs) for part in parts(config, frames))
