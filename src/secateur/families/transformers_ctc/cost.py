"""What a `transformers` CTC model costs, from its config alone: stored values, and multiply-accumulates (no torch)."""

from __future__ import annotations

from collections.abc import Iterator

from ..ctc.cost import PartCost, by_kind
from .config import HfCtcConfig
from .widths import BlockWidths

GATES = 8  # values a head that WavLM gates its distances by


def parts(config: HfCtcConfig, samples: int) -> Iterator[PartCost]:
    """All parts for a clip of so many samples, named as in `HfCtc.groups` without the prefix."""
    before, frames, bias = 1, samples, bool(config.settings.get("conv_bias", False))
    for i, (channels, taps, stride) in enumerate(zip(config.convs, config.kernels, config.strides, strict=True)):
        frames = max(frames - taps + stride, 0) // stride
        weights, normed = before * taps * channels, i == 0 or not config.group_norm
        yield PartCost(f"convs.{i}", weights + (bias + 2 * normed) * channels, frames * weights)
        before = channels
    w, d = config.width, config.head_size
    stored = (before + 1) * w + (2 * before if config.projection_norm else 0) + (w if config.mask_vector else 0)
    yield PartCost("projection", stored, frames * before * w)
    taps, groups = config.position_taps
    size, kept = w // groups, len(config.kept_position_groups)
    weights = kept * size * size * taps
    stored = weights + kept * size + (taps if config.conformer else 0)  # stored as it is, weight norm included
    yield PartCost("positions", stored, 0 if config.conformer else frames * weights)
    relative = config.kind == "wavlm"
    if relative:
        yield PartCost("distances", config.distances[0] * config.all_heads, 0)
    if config.distance == "rotary":
        yield PartCost("distances", d // 2, 0)
    *read, left = config.frames_read(frames)
    for i, (layer, frames) in enumerate(zip(config.layers, read, strict=True)):
        if isinstance(layer, BlockWidths):
            yield from block_parts(f"layers.{i}", layer, w, d, config.block_taps, frames, config.distance == "relative")
            continue
        inner = layer.heads * d
        stored = 3 * inner * (w + 1) + (inner + 1) * w + 2 * w + relative * (layer.heads + GATES * (d + 1))
        gates = relative * (frames * GATES * inner + frames * frames * layer.heads)
        yield PartCost(f"layers.{i}.attention", stored, frames * 4 * w * inner + 2 * frames * frames * inner + gates)
        # With the norm, and the gate.
        yield PartCost(
            f"layers.{i}.ffn", layer.ffn * (w + 1) + (layer.ffn + 1) * w + 2 * w + 1, frames * 2 * w * layer.ffn
        )
    if config.merge_weights:
        yield PartCost("merges", config.merge_weights * w, 0)
    yield PartCost("norm", 2 * w, 0)
    yield PartCost("output", (w + 1) * config.units, left * w * config.units)


def block_parts(
    name: str, widths: BlockWidths, w: int, d: int, taps: int, frames: int, relative: bool, biases: bool = True,
    conv_biases: bool = False,
) -> Iterator[PartCost]:  # fmt: skip
    """A Conformer block of `transformers`, each part with its LayerNorm (2w), the last also with the block's, and the
    gate; `relative` positions are projected by every block anew."""
    for ffn, units, extra in (("ffn1", widths.ffn1, 0), ("ffn2", widths.ffn2, 2 * w + 1)):
        yield PartCost(f"{name}.{ffn}", 2 * w + extra + 2 * units * w + biases * (units + w), frames * 2 * w * units)
    inner, distances = widths.heads * d, 2 * frames - 1
    yield PartCost(
        f"{name}.attention",
        2 * w + (4 + relative) * w * inner + biases * (3 * inner + w) + relative * 2 * inner,
        frames * 4 * w * inner + 2 * frames * frames * inner + relative * distances * inner * (w + frames),
    )
    c = widths.conv
    yield PartCost(
        f"{name}.conv",
        2 * w + 3 * c * w + taps * c + 4 * c + conv_biases * (3 * c + w),
        frames * (3 * c * w + taps * c),
    )


def count_parameters(config: HfCtcConfig) -> int:
    """Values stored in the network, which equal the sum over the real `state_dict`."""
    return sum(part.stored for part in parts(config, 0))


def macs_by_part(config: HfCtcConfig, seconds: float) -> dict[str, int]:
    """Multiply-accumulates for one clip of `seconds`, layers of a kind together.

    Not counted, below 1 % together: biases, norms, activations, softmax.
    """
    samples = round(seconds * config.front_end.sample_rate)
    return by_kind((part.name, part.macs) for part in parts(config, samples))
