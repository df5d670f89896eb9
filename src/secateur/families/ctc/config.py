"""The checkpoint's contract of a CTC model: every width of every layer, in one frozen dataclass (no torch here)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

from ...features.front_end import FrontEnd
from ...models.family import FORMAT
from ...models.frame_merging import MergingConfig
from ..whisper.config import AttentionWidths, EncoderWidths

TAPS = {"one": (1,), "three": (1, 3), "five": (1, 3, 3), "pool": (1,)}  # of each convolution in a branch, in order
Keep = dict[str, list[int]]


@dataclass(frozen=True)
class SubsamplingWidths:
    """Convolutions of 3 x 3 over time and frequency, each halving both: one is x2, two are x4."""

    channels: tuple[int, ...]

    def shrunk(self, keep: Keep, name: str) -> SubsamplingWidths:
        """The widths after surgery."""
        return SubsamplingWidths(tuple(_count(keep, f"{name}.convs.{i}", n) for i, n in enumerate(self.channels)))


@dataclass(frozen=True)
class BranchWidths:
    """One branch of an Inception block, and the channels of each of its convolutions (see `TAPS`)."""

    kind: Literal["one", "three", "five", "pool"]
    channels: tuple[int, ...]


@dataclass(frozen=True)
class InceptionWidths:
    """A convolution over 2 * stride + 1 frames with this stride, then blocks of branches."""

    stem: int
    stride: int
    blocks: tuple[tuple[BranchWidths, ...], ...]

    def shrunk(self, keep: Keep, name: str) -> InceptionWidths:
        """The widths after surgery: fewer branches, and fewer channels of the others."""
        blocks = []
        for b, block in enumerate(self.blocks):
            branches, where = [], f"{name}.blocks.{b}.branches"
            for i in keep.get(where, range(len(block))):
                channels = tuple(_count(keep, f"{where}.{i}.convs.{j}", n) for j, n in enumerate(block[i].channels))
                branches.append(replace(block[i], channels=channels))
            blocks.append(tuple(branches))
        return InceptionWidths(_count(keep, f"{name}.stem", self.stem), self.stride, tuple(blocks))


@dataclass(frozen=True)
class DirectionWidths:
    """Units of one recurrent layer that run forwards over the clip, and of those that run backwards (0: none)."""

    ahead: int
    back: int


@dataclass(frozen=True)
class RecurrentWidths:
    """A stack of bidirectional layers."""

    cell: Literal["gru", "lstm"]
    layers: tuple[DirectionWidths, ...]

    def shrunk(self, keep: Keep, name: str) -> RecurrentWidths:
        """The widths after surgery."""
        layers = []
        for i, layer in enumerate(self.layers):
            where = f"{name}.layers.{i}"
            layers.append(
                DirectionWidths(_count(keep, f"{where}.ahead", layer.ahead), _count(keep, f"{where}.back", layer.back))
            )
        return replace(self, layers=tuple(layers))


@dataclass(frozen=True)
class ConformerBlockWidths:
    """One Conformer block: two feed-forward modules, attention, and the channels of the convolution module."""

    ffn1: int
    attention: AttentionWidths
    conv: int
    ffn2: int


@dataclass(frozen=True)
class ConformerWidths:
    """A stack of Conformer blocks on a residual stream of `width`."""

    width: int
    layers: tuple[ConformerBlockWidths, ...]
    kernel: int = 15  # taps of the convolution module, an odd number
    farthest: int = 32  # frames; all greater distances share one bias
    attention_scale: float = 0.125  # 1 / sqrt(head dimension before pruning); pruning dimensions does not change it

    def shrunk(self, keep: Keep, name: str) -> ConformerWidths:
        """The widths after surgery: fewer layers, and fewer units of the others."""
        layers = []
        for i in keep.get(f"{name}.layers", range(len(self.layers))):
            layer, where = self.layers[i], f"{name}.layers.{i}"
            layers.append(
                ConformerBlockWidths(
                    ffn1=_count(keep, f"{where}.ffn1", layer.ffn1),
                    attention=layer.attention.shrunk(keep, f"{where}.attention"),
                    conv=_count(keep, f"{where}.conv", layer.conv),
                    ffn2=_count(keep, f"{where}.ffn2", layer.ffn2),
                )
            )
        return replace(self, layers=tuple(layers))


@dataclass(frozen=True)
class TrunkWidths:
    """The encoder of a Whisper: two convolutions, the second of which halves the frame rate, positions, layers."""

    width: int  # residual stream
    convs: int  # channels between the two convolutions
    context: int  # positions
    layers: tuple[EncoderWidths, ...]
    attention_scale: float = 0.125  # 1 / sqrt(head dimension before pruning); pruning dimensions does not change it

    def shrunk(self, keep: Keep, name: str) -> TrunkWidths:
        """The widths after surgery: fewer layers, and fewer units of the others."""
        layers = []
        for i in keep.get(f"{name}.layers", range(len(self.layers))):
            layer, where = self.layers[i], f"{name}.layers.{i}"
            attention = layer.attention.shrunk(keep, f"{where}.attention")
            layers.append(EncoderWidths(attention, _count(keep, f"{where}.ffn", layer.ffn)))
        return replace(self, convs=_count(keep, f"{name}.conv", self.convs), layers=tuple(layers))


@dataclass(frozen=True)
class Streaming:
    """How a network processes a stream chunk by chunk; all in frames of the output.

    Convolutions are causal, recurrent layers run forwards only, and attention covers the chunk that a frame is in and
    `left` frames before it (Chen et al. 2021, arXiv 2010.11395).
    """

    chunk: int
    left: int

    def over(self, frames: int) -> Streaming:
        """The same in shorter frames, so many of which are one of the output."""
        return Streaming(self.chunk * frames, self.left * frames)


@dataclass(frozen=True)
class CtcConfig(MergingConfig):
    """Everything that is needed to build the network and to feed it.

    The clip's features go through the sections that are there, in the order in which they stand here; the last
    one's output is projected to `units`.

    Raises:
        ValueError: widths that no network can have.
    """

    units: int  # of the output; number 0 is CTC's blank
    front_end: FrontEnd = FrontEnd()
    trunk: TrunkWidths | None = None
    subsampling: SubsamplingWidths | None = None
    inception: InceptionWidths | None = None
    recurrent: RecurrentWidths | None = None
    conformer: ConformerWidths | None = None
    streaming: Streaming | None = None  # None: the network takes whole clips
    name: str = "ctc"
    family: str = "ctc"
    format: int = FORMAT

    def __post_init__(self) -> None:
        super().__post_init__()
        for problem in _problems(self):
            raise ValueError(problem)

    @property
    def merge_layers(self) -> tuple[str, ...]:
        """See `MergingConfig`: those of all sections, in the order in which they run."""
        return tuple(name for name, _ in self._layers())

    @property
    def merge_widths(self) -> tuple[int, ...]:
        """Channels of the residual stream before the first layer and after each; 0: it has none."""
        widths = [width for _, width in self._layers()]
        return (*widths[:1], *widths)

    @property
    def merge_values(self) -> int:
        """Values of all trained merges."""
        merged = zip(self.frame_merging, self.merge_widths, strict=False) if self.merge_learned else ()
        return sum(int(factor) * width for factor, width in merged if factor > 1)

    def _layers(self) -> list[tuple[str, int]]:
        """Every layer, and the width of the residual stream that it adds to (0: none)."""
        sections: list[tuple[str, int, int]] = []
        if self.trunk is not None:
            sections.append(("trunk.layers", len(self.trunk.layers), self.trunk.width))
        if self.inception is not None:
            sections.append(("inception.blocks", len(self.inception.blocks), 0))
        if self.recurrent is not None:
            sections.append(("recurrent.layers", len(self.recurrent.layers), 0))
        if self.conformer is not None:
            sections.append(("conformer.layers", len(self.conformer.layers), self.conformer.width))
        return [(f"{name}.{i}", width) for name, count, width in sections for i in range(count)]

    def merging(self, factors: tuple[float, ...], kind: str) -> Self:
        """See `MergingConfig`; a stream's chunks keep at least their length in seconds."""
        merged = super().merging(factors, kind)
        if self.streaming is None:
            return merged
        one = merged.regular_merge
        return replace(merged, streaming=Streaming(-(-self.streaming.chunk // one), -(-self.streaming.left // one)))

    @property
    def max_seconds(self) -> float:
        """The length that the positions of a Whisper encoder hold; infinite without one."""
        if self.trunk is None:
            return math.inf
        return self.trunk.context * 2 * self.front_end.hop / self.front_end.sample_rate

    @property
    def subsampled(self) -> int:
        """Frames of features to one frame of the output."""
        stride = (1 if self.inception is None else self.inception.stride) * (1 if self.trunk is None else 2)
        return stride * self.regular_merge * (1 if self.subsampling is None else 2 ** len(self.subsampling.channels))

    def with_front_end(self, front_end: FrontEnd) -> CtcConfig:
        """The config with another front-end; a Whisper's context keeps its length in seconds."""
        trunk, ratio = self.trunk, front_end.frame_ms / self.front_end.frame_ms
        if trunk is not None:
            trunk = replace(trunk, context=int((trunk.context - 1) / ratio + 1e-9) + 1)
        return replace(self, front_end=front_end, trunk=trunk)

    def shrunk(self, keep: dict[str, list[int]]) -> CtcConfig:
        """The config after surgery: `keep` maps group names (see `CtcModel.groups`) to the units that stay."""
        sections = {
            name: section.shrunk(keep, name)
            for name in ("trunk", "subsampling", "inception", "recurrent", "conformer")
            if (section := getattr(self, name)) is not None
        }
        front_end = self.front_end.keeping(keep["input"]) if "input" in keep else self.front_end
        names = self.merge_layers
        removed = {f"{name}.{i}" for name in ("trunk.layers", "conformer.layers") if name in keep
                for i in range(len(names)) if i not in keep[name]}  # fmt: skip
        layers = [i for i, name in enumerate(names) if name not in removed]
        changes: dict[str, Any] = {**sections, "front_end": front_end, "frame_merging": self.merging_of(layers)}
        return replace(self, **changes)


def edges(span: int, causal: bool) -> tuple[int, int]:
    """Zeros to put before and after a clip for a convolution over `span` + 1 frames; causal: it ends at its frame."""
    return (span, 0) if causal else (span // 2, span // 2)


def _count(keep: Keep, name: str, count: int) -> int:
    return len(keep[name]) if name in keep else count


def _problems(config: CtcConfig) -> list[str]:
    """Why no network can be built with these widths; empty: it can."""
    problems = []
    if config.units < 2:
        problems.append(f"units must be the blank and at least one more, found {config.units}")
    sizes: list[int] = []
    if config.trunk is not None:
        sizes += [config.trunk.width, config.trunk.convs, config.trunk.context]
        for layer in config.trunk.layers:
            sizes += [layer.ffn, layer.attention.heads, layer.attention.query_key, layer.attention.value]
    if config.subsampling is not None:
        if len(config.subsampling.channels) not in (1, 2):
            problems.append("subsampling has one convolution (x2) or two (x4)")
        sizes += config.subsampling.channels
    if config.inception is not None:
        if config.inception.stride not in (1, 2, 4):
            problems.append(f"inception.stride is 1, 2 or 4, found {config.inception.stride}")
        sizes.append(config.inception.stem)
        for branch in (branch for block in config.inception.blocks for branch in block):
            if len(branch.channels) != len(TAPS[branch.kind]):
                problems.append(f"a branch of kind '{branch.kind}' has {len(TAPS[branch.kind])} convolutions")
            sizes += branch.channels
        if not all(config.inception.blocks):
            problems.append("an inception block needs a branch")
    if config.recurrent is not None:
        sizes += [n for layer in config.recurrent.layers for n in (layer.ahead, layer.back or 1)]
        if not config.recurrent.layers:
            problems.append("recurrent needs a layer")
    if config.conformer is not None:
        if config.conformer.kernel % 2 == 0:
            problems.append(f"conformer.kernel must be odd, found {config.conformer.kernel}")
        sizes += [config.conformer.width, config.conformer.farthest]
        for block in config.conformer.layers:
            attention = block.attention
            sizes += [block.ffn1, block.conv, block.ffn2, attention.heads, attention.query_key, attention.value]
    problems += _not_merging(config)
    if config.streaming is not None:
        problems += _not_streaming(config)
        sizes += [config.streaming.chunk, config.streaming.left + 1]
    if any(size < 1 for size in sizes):
        problems.append("every width must be at least 1")
    return problems


def _not_merging(config: CtcConfig) -> list[str]:
    """Which merges of frames the sections cannot have."""
    problems = []
    merged = [width for factor, width in zip(config.frame_merging, config.merge_widths, strict=False) if factor > 1]
    if config.merge_learned and 0 in merged:
        problems.append("learned merges need the residual stream of a Conformer or of a trunk: merge by mean here")
    if config.merge_similar and merged and config.streaming is not None:
        problems.append("similar frames are found in whole clips: in a streaming network merge by mean or learned")
    strided = config.subsampling is not None or (config.inception is not None and config.inception.stride > 1)
    if config.merge_similar and merged and config.trunk is not None and strided:
        problems.append("similar frames have no even rate that a later stride could read: merge by mean or learned")
    return problems


def _not_streaming(config: CtcConfig) -> list[str]:
    """Which parts of the config need the end of a clip, and so cannot stream."""
    problems = []
    if config.trunk is not None:
        problems.append("a Whisper's encoder takes whole clips: a streaming network has no trunk")
    if config.recurrent is not None and any(layer.back for layer in config.recurrent.layers):
        problems.append("a streaming network has no recurrent units that hear backwards: set back to 0")
    if not config.front_end.definition.streams or config.front_end.normalise != "none":
        problems.append(
            "a streaming network takes fbank or mfcc that are not normalised over the clip (normalise = none)"
        )
    return problems
