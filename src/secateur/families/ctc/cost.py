"""What a CTC model costs, from its config alone: stored values, and multiply-accumulates for one clip (no torch here).

Both are exact sums over the parts that `parts` walks through, in the order of the network.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ...base.errors import SecateurError
from ...models.frame_merging import merged_length
from .config import TAPS, ConformerBlockWidths, ConformerWidths, CtcConfig, InceptionWidths, TrunkWidths

NORM = 4  # values a channel of BatchNorm: weight, bias, running mean and variance
GATES = {"gru": 3, "lstm": 4}


@dataclass(frozen=True)
class PartCost:
    """One part of the network: `stored` values, and `macs` for the clip."""

    name: str
    stored: int
    macs: int


def parts(config: CtcConfig, frames: int) -> Iterator[PartCost]:
    """All parts, named as in `CtcModel.groups`, for a clip of so many frames of features."""
    width, merged = config.front_end.inputs, _Merged(config)
    if config.trunk is not None:
        frames, first = min(frames, 2 * config.trunk.context), width
        read, width = merged.lengths((frames + 1) // 2, len(config.trunk.layers)), config.trunk.width
        yield from _trunk(config.trunk, first, frames, read)
        frames = read[-1]
    if config.subsampling is not None:
        lines, before = width, 1
        for i, channels in enumerate(config.subsampling.channels):
            frames, lines = (frames + 1) // 2, (lines + 1) // 2
            weights = 9 * before * channels
            yield PartCost(f"subsampling.convs.{i}", weights + channels, frames * lines * weights)
            before = channels
        width = before * lines
    if config.inception is not None:
        frames = -(-frames // config.inception.stride)
        read = merged.lengths(frames, len(config.inception.blocks))
        yield from _inception(config.inception, width, frames, read)
        frames = read[-1]
        blocks = config.inception.blocks
        width = sum(branch.channels[-1] for branch in blocks[-1]) if blocks else config.inception.stem
    if config.recurrent is not None:
        gates, read = GATES[config.recurrent.cell], merged.lengths(frames, len(config.recurrent.layers))
        for i, layer in enumerate(config.recurrent.layers):
            for direction, units in (("ahead", layer.ahead), ("back", layer.back)):
                if not units:
                    continue
                weights = gates * units * (width + units)
                yield PartCost(f"recurrent.layers.{i}.{direction}", weights + 2 * gates * units, read[i] * weights)
            width = layer.ahead + layer.back
        frames = read[-1]
    if config.conformer is not None:
        inner = config.conformer.width
        yield PartCost("conformer.project", (width + 1) * inner, frames * width * inner)
        read = merged.lengths(frames, len(config.conformer.layers))
        for i, (block, frames) in enumerate(zip(config.conformer.layers, read, strict=False)):
            attended = frames
            if config.streaming is not None:
                attended = (config.streaming.chunk + config.streaming.left) * merged.left(f"conformer.layers.{i}")
            yield from _block(f"conformer.layers.{i}", config.conformer, block, frames, min(attended, frames))
        frames = read[-1]
        yield PartCost("conformer.norm", 2 * inner, 0)
        width = inner
    if config.merge_learned:
        yield PartCost("merges", config.merge_values, 0)
    yield PartCost("output", (width + 1) * config.units, frames * width * config.units)


class _Merged:
    """The merges of a config, section after section."""

    def __init__(self, config: CtcConfig) -> None:
        layers = config.merge_layers
        self._factors, self._regular = config.frame_merging or (1,) * (len(layers) + 1), not config.merge_similar
        self._layers, self._done = layers, 0

    def lengths(self, frames: int, layers: int) -> list[int]:
        """Frames that each of the next section's `layers` reads, and those that are left after the last."""
        if not layers:
            return [frames]
        first = 0 if self._done == 0 else self._done + 1
        factors = self._factors[first : self._done + layers + 1]
        factors = factors if first == 0 else (1, *factors)
        self._done += layers
        return [merged_length(frames, factors[: i + 1]) for i in range(layers + 1)]

    def left(self, layer: str) -> int:
        """How many of the frames that `layer` reads will be one of the output."""
        later = self._factors[self._layers.index(layer) + 1 :]
        return int(math.prod(later)) if self._regular else 1


def _trunk(widths: TrunkWidths, inputs: int, frames: int, read: list[int]) -> Iterator[PartCost]:
    """Convolutions, positions, and layers as in a Whisper: query and value have biases and output too, keys none.

    `read` are the positions that each layer reads.
    """
    w, c, p = widths.width, widths.convs, (frames + 1) // 2
    yield PartCost("trunk.conv1", 3 * inputs * c + c, frames * 3 * inputs * c)
    yield PartCost("trunk.conv2", 3 * c * w + w, p * 3 * c * w)
    yield PartCost("trunk.positions", widths.context * w, 0)
    for i, layer in enumerate(widths.layers):
        a = layer.attention
        q, v = a.heads * a.query_key, a.heads * a.value
        stored, p = 2 * w + q * (2 * w + 1) + v * (w + 1) + (v + 1) * w, read[i]
        yield PartCost(f"trunk.layers.{i}.attention", stored, p * 2 * w * (q + v) + p * p * (q + v))
        stored = 2 * w + layer.ffn * (w + 1) + (layer.ffn + 1) * w
        yield PartCost(f"trunk.layers.{i}.ffn", stored, p * 2 * w * layer.ffn)
    yield PartCost("trunk.norm", 2 * w, 0)


def _inception(widths: InceptionWidths, before: int, frames: int, read: list[int]) -> Iterator[PartCost]:
    """Stem and branches; a channel of a convolution has its taps, and BatchNorm's values. `read` are the frames that
    each block reads."""
    weights = (2 * widths.stride + 1) * before * widths.stem
    yield PartCost("inception.stem", weights + NORM * widths.stem, frames * weights)
    width = widths.stem
    for b, block in enumerate(widths.blocks):
        for i, branch in enumerate(block):
            before = width
            for j, (channels, taps) in enumerate(zip(branch.channels, TAPS[branch.kind], strict=True)):
                weights = taps * before * channels
                name = f"inception.blocks.{b}.branches.{i}.convs.{j}"
                yield PartCost(name, weights + NORM * channels, read[b] * weights)
                before = channels
        width = sum(branch.channels[-1] for branch in block)


def _block(
    name: str, widths: ConformerWidths, block: ConformerBlockWidths, frames: int, attended: int
) -> Iterator[PartCost]:
    """Each module with its LayerNorm, 2w; attention: query and value have biases and output too, keys have none."""
    w, a = widths.width, block.attention
    q, v = a.heads * a.query_key, a.heads * a.value
    for name_of_ffn, units in (("ffn1", block.ffn1), ("ffn2", block.ffn2)):
        yield PartCost(f"{name}.{name_of_ffn}", 2 * w + units * (w + 1) + (units + 1) * w, frames * 2 * w * units)
    yield PartCost(
        f"{name}.attention",
        2 * w + q * (2 * w + 1) + v * (w + 1) + (v + 1) * w + a.heads * (2 * widths.farthest + 1),
        frames * 2 * w * (q + v) + frames * attended * (q + v),
    )
    c, k = block.conv, widths.kernel
    yield PartCost(
        f"{name}.conv",
        2 * w + 2 * c * (w + 1) + k * c + NORM * c + (c + 1) * w,
        frames * (2 * c * w + k * c + c * w),
    )


def count_parameters(config: CtcConfig) -> dict[str, int]:
    """Values stored in the network, by part and as `total`, which equals the sum over the real `state_dict`."""
    counts = {part.name: part.stored for part in parts(config, 0)}
    return {**counts, "total": sum(counts.values())}


def count_macs(config: CtcConfig, seconds: float) -> dict[str, int]:
    """Multiply-accumulates for one clip of `seconds`, by part and as `total`.

    Counted: convolutions, projections, recurrences, attention scores and sums. Not counted, below 1 % together:
    biases, norms, activations, softmax, features. Attention of a streaming network: a chunk and what is before it.

    Raises:
        SecateurError: no time in the clip.
    """
    if not seconds > 0:
        raise SecateurError(f"a clip of {seconds:g} s has no length")
    frames = config.front_end.frames(round(seconds * config.front_end.sample_rate))
    counts = {part.name: part.macs for part in parts(config, frames)}
    return {**counts, "total": sum(counts.values())}


def macs_by_part(config: CtcConfig, seconds: float) -> dict[str, int]:
    """What `count_macs` adds up, layers, blocks and branches of a kind together: `conformer.layers.ffn1`."""
    return by_kind((name, macs) for name, macs in count_macs(config, seconds).items() if name != "total")


def by_kind(costs: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Sums of (name, multiply-accumulates) over parts whose names differ only in numbers.

    >>> by_kind([("layers.0.ffn", 2), ("layers.1.ffn", 3)])
    {'layers.ffn': 5}
    """
    sums: dict[str, int] = {}
    for name, macs in costs:
        kind = ".".join(word for word in name.split(".") if not word.isdigit())
        sums[kind] = sums.get(kind, 0) + macs
    return sums
