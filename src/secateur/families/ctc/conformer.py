"""Conformer blocks (Gulati et al. 2020, arXiv 2005.08100), every width of them prunable.

Two things differ from the paper. The LayerNorm at the end of each block is one at the end of the stack, so that a
block whose branches add zero equals no block. Positions are relative, a learned bias for each head and distance
(Raffel et al. 2020, arXiv 1910.10683) and the same for all greater distances, so that clips have no longest length.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...models.groups import Group, Place, prefixed
from ..whisper.config import AttentionWidths
from ..whisper.model import Attention, FeedForward
from .config import ConformerBlockWidths, ConformerWidths, Streaming, edges
from .frames import BatchNorm, MergedPass, reader_places, valid_frames

MASK_BIAS = -3e4  # the attention score of padding: zero after a softmax, and finite in 16 bits


def chunk_mask(length: int, streaming: Streaming, device: torch.device) -> Tensor:
    """The attention mask of a stream, (length, length): each frame's own chunk, and `left` frames before it."""
    at = torch.arange(length, device=device)
    start = (at // streaming.chunk * streaming.chunk)[:, None]
    return (at >= start - streaming.left) & (at < start + streaming.chunk)


class RelativeAttention(Attention):
    """Attention with relative positions up to `farthest` frames to either side."""

    def __init__(self, width: int, widths: AttentionWidths, scale: float, farthest: int) -> None:
        super().__init__(width, widths, scale)
        self.farthest = farthest
        self.distance = nn.Parameter(torch.zeros(widths.heads, 2 * farthest + 1))

    def attend(self, x: Tensor, mask: Tensor, stride: int = 1, at: Tensor | None = None) -> Tensor:
        """(batch, frames, width) to the same; `mask` (batch, frames or 1, frames): True where attention is allowed.

        `stride` is the distance between two frames, `at` (batch, frames) where each is if they are not alike.
        """
        distances = self.by_distance(x.shape[1], stride) if at is None else self.between(at)
        scores = distances.masked_fill(~mask[:, None], MASK_BIAS)
        return self(x, *self.keys_values(x), scores.to(x.dtype))  # type: ignore[no-any-return]

    def by_distance(self, length: int, stride: int = 1) -> Tensor:
        """The relative position bias of every pair of frames, (heads, length, length).

        Row i is a window on the distances. Indexing all pairs would give the same, but its gradient sums a hundred
        thousand entries into each of a few dozen, one after the other on a GPU.
        """
        steps = torch.arange(1 - length, length, device=self.distance.device) * stride
        along = self.distance[:, steps.clamp(-self.farthest, self.farthest) + self.farthest]
        return along.unfold(1, length, 1).flip(1)

    def between(self, at: Tensor) -> Tensor:
        """The same (batch, heads, length, length) for frames `at` (batch, length)."""
        steps = (at[:, None] - at[:, :, None]).clamp(-self.farthest, self.farthest)
        return self.distance[:, steps + self.farthest].transpose(0, 1)

    def groups(self) -> list[Group]:
        """Heads, with their distances, and dimensions."""
        heads, *dimensions = super().groups()
        places = (*heads.places, Place("distance", 0))
        return [Group(heads.name, heads.kind, heads.units, places), *dimensions]


class ConvolutionModule(nn.Module):
    """A gated linear unit, a depthwise convolution over time, BatchNorm, Swish, and a projection.

    A channel is a pair of rows, the value's and its gate's: they go together.
    """

    def __init__(self, width: int, channels: int, kernel: int, causal: bool) -> None:
        super().__init__()
        self.channels, self.edges = channels, edges(kernel - 1, causal)
        self.gated = nn.Linear(width, 2 * channels)
        self.depthwise = nn.Conv1d(channels, channels, kernel, groups=channels, bias=False)
        self.norm = BatchNorm(channels)
        self.out = nn.Linear(channels, width)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        """(batch, frames, width) to the same; `real` (batch, frames) is False at padding, which is set to zero."""
        x = (F.glu(self.gated(x)) * real[..., None]).transpose(1, 2)
        x = F.silu(self.norm(self.depthwise(F.pad(x, self.edges)), real))
        return self.out(x.transpose(1, 2))  # type: ignore[no-any-return]

    def groups(self) -> list[Group]:
        """The channels of the convolution: both halves of its gate, its filter and what reads them."""
        pairs = tuple(
            Place(f"gated.{part}", 0, start=half * self.channels) for part in ("weight", "bias") for half in range(2)
        )
        places = (*pairs, Place("depthwise.weight", 0), *BatchNorm.places("norm"), *reader_places(["out.weight"]))
        return [Group("", "conv", self.channels, places, minimum=8)]


class ConformerBlock(nn.Module):
    """Half a feed-forward, attention, convolution, half a feed-forward, each behind a LayerNorm and added."""

    def __init__(self, widths: ConformerWidths, widths_of_block: ConformerBlockWidths, causal: bool) -> None:
        super().__init__()
        width = widths.width
        self.ffn1_norm = nn.LayerNorm(width)
        self.ffn1 = FeedForward(width, widths_of_block.ffn1)
        self.attention_norm = nn.LayerNorm(width)
        self.attention = RelativeAttention(width, widths_of_block.attention, widths.attention_scale, widths.farthest)
        self.conv_norm = nn.LayerNorm(width)
        self.conv = ConvolutionModule(width, widths_of_block.conv, widths.kernel, causal)
        self.ffn2_norm = nn.LayerNorm(width)
        self.ffn2 = FeedForward(width, widths_of_block.ffn2)

    def forward(
        self, x: Tensor, real: Tensor, mask: Tensor, drop: nn.Dropout, stride: int = 1, at: Tensor | None = None
    ) -> Tensor:
        """(batch, frames, width) to the same; see `RelativeAttention.attend` and `ConvolutionModule.forward`."""
        x = x + 0.5 * drop(self.ffn1(self.ffn1_norm(x)))
        x = x + drop(self.attention.attend(self.attention_norm(x), mask, stride, at))
        x = x + drop(self.conv(self.conv_norm(x), real))
        return x + 0.5 * drop(self.ffn2(self.ffn2_norm(x)))  # type: ignore[no-any-return]

    def groups(self) -> list[Group]:
        """The groups of the four modules."""
        return [
            group
            for name in ("ffn1", "attention", "conv", "ffn2")
            for group in prefixed(getattr(self, name).groups(), name)
        ]


class Conformer(nn.Module):
    """A projection to the residual stream, blocks, a norm."""

    def __init__(self, inputs: int, widths: ConformerWidths, streaming: Streaming | None = None) -> None:
        super().__init__()
        self.width, self.streaming = widths.width, streaming
        self.project = nn.Linear(inputs, widths.width)
        self.layers = nn.ModuleList(
            ConformerBlock(widths, widths_of_block, streaming is not None) for widths_of_block in widths.layers
        )
        self.norm = nn.LayerNorm(widths.width)

    def forward(self, x: Tensor, frames: Tensor, drop: nn.Dropout, merged: MergedPass) -> tuple[Tensor, Tensor]:
        """(batch, frames, inputs) to (batch, frames, width)."""
        return self.with_intermediate(x, frames, drop, merged)[1:]

    def with_intermediate(
        self, x: Tensor, frames: Tensor, drop: nn.Dropout, merged: MergedPass
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The output after the middle block, or the last after which frames are merged if that is later, and after the
        last block, both (batch, frames, width), and the real frames of each row."""
        x, frames = merged.before(drop(self.project(x)), frames)
        middle, length = x, 0
        for i, layer in enumerate(self.layers, 1):
            if x.shape[1] != length:
                length = x.shape[1]
                real, mask = self.attention_mask(x, frames, merged.left)
            x, frames = merged.after(layer(x, real, mask, drop, merged.stride, merged.at), frames)
            if i == len(self.layers) // 2 or x.shape[1] != length:
                middle = x
        return self.norm(middle), self.norm(x), frames

    def attention_mask(self, x: Tensor, frames: Tensor, left: int = 1) -> tuple[Tensor, Tensor]:
        """Which frames of `x` (batch, length, ...) are valid, and the attention mask (batch, length or 1, length); so
        many of them, `left`, will be one of the output."""
        real = valid_frames(frames, x.shape[1])
        mask = real[:, None]
        if self.streaming is not None:
            mask = mask & chunk_mask(x.shape[1], self.streaming.over(left), x.device)
        return real, mask

    def readers(self) -> list[str]:
        """The parameters that read the inputs."""
        return ["project.weight"]

    def groups(self, name: str, readers: list[str]) -> list[Group]:
        """Layers and what is in them; the residual stream that `readers` read stays whole."""
        # A layer whose branches all add zero equals no layer.
        ends = [
            f"{branch}.{part}"
            for branch in ("ffn1.down", "attention.out", "conv.out", "ffn2.down")
            for part in ("weight", "bias")
        ]
        count = len(self.layers)
        places = tuple(Place(f"{name}.layers.{i}.{end}", 0, unit=i) for i in range(count) for end in ends)
        members = [Group(f"{name}.layers", "layer", count, places)] if count else []
        for i, layer in enumerate(self.layers):
            members += prefixed(layer.groups(), f"{name}.layers.{i}")  # type: ignore[operator]
        return members
