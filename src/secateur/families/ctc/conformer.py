"""Conformer blocks (Gulati et al. 2020, arXiv 2005.08100), every width of them prunable.

Two things differ from the paper. The LayerNorm at the end of each block is one at the end of the stack, so that a
block whose branches add zero is no block. Positions are relative, a bias for each head and distance that is learnt
(Raffel et al. 2020, arXiv 1910.10683) and the same for all greater distances, so that clips have no longest length.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...models.groups import Group, Place, prefixed
from ..whisper.config import AttentionWidths
from ..whisper.model import Attention, FeedForward
from .config import BlockWidths, ConformerWidths, Streaming, edges
from .frames import BatchNorm, reading, real_frames

MASK_BIAS = -3e4  # the score of padding: no weight in a softmax, and still a number in 16 bits


def within_sight(length: int, streaming: Streaming, device: torch.device) -> Tensor:
    """Which frames each frame sees, (length, length): its own chunk, and `left` frames before that."""
    at = torch.arange(length, device=device)
    start = (at // streaming.chunk * streaming.chunk)[:, None]
    return (at >= start - streaming.left) & (at < start + streaming.chunk)


class RelativeAttention(Attention):
    """Attention that knows how far a frame is, up to `farthest` frames to either side."""

    def __init__(self, width: int, widths: AttentionWidths, scale: float, farthest: int) -> None:
        super().__init__(width, widths, scale)
        self.farthest = farthest
        self.distance = nn.Parameter(torch.zeros(widths.heads, 2 * farthest + 1))

    def attend(self, x: Tensor, seen: Tensor) -> Tensor:
        """(batch, frames, width) to the same; `seen` (batch, frames or 1, frames): who may look where."""
        scores = self.by_distance(x.shape[1]).masked_fill(~seen[:, None], MASK_BIAS)
        return self(x, *self.keys_values(x), scores.to(x.dtype))  # type: ignore[no-any-return]

    def by_distance(self, length: int) -> Tensor:
        """What every frame adds to the score of every other (heads, length, length), by how far it is.

        Row i is a window on the distances. Indexing would give the same, but its gradient sums a hundred thousand
        entries into each of a few dozen, one after the other on a GPU.
        """
        beyond = length - 1 - self.farthest
        if beyond > 0:
            first, last = (self.distance[:, end].expand(-1, beyond) for end in (slice(0, 1), slice(-1, None)))
            along = torch.cat([first, self.distance, last], 1)
        else:
            along = self.distance[:, -beyond : 2 * self.farthest + 1 + beyond]
        return along.unfold(1, length, 1).flip(1)

    def groups(self) -> list[Group]:
        """Heads, with their distances, and dimensions."""
        heads, *dimensions = super().groups()
        places = (*heads.places, Place("distance", 0))
        return [Group(heads.name, heads.kind, heads.units, places), *dimensions]


class ConvolutionModule(nn.Module):
    """A gated linear unit, a convolution over time for each channel by itself, BatchNorm, Swish, and back.

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
        """(batch, frames, width) to the same; `real` (batch, frames) is False where the convolution sees zero."""
        x = (F.glu(self.gated(x)) * real[..., None]).transpose(1, 2)
        x = F.silu(self.norm(self.depthwise(F.pad(x, self.edges)), real))
        return self.out(x.transpose(1, 2))  # type: ignore[no-any-return]

    def groups(self) -> list[Group]:
        """Channels."""
        pairs = tuple(
            Place(f"gated.{part}", 0, start=half * self.channels) for part in ("weight", "bias") for half in range(2)
        )
        places = (*pairs, Place("depthwise.weight", 0), *BatchNorm.places("norm"), *reading(["out.weight"]))
        return [Group("", "conv", self.channels, places, minimum=8)]


class Block(nn.Module):
    """Half a feed-forward, attention, convolution, half a feed-forward, each behind a LayerNorm and added."""

    def __init__(self, widths: ConformerWidths, own: BlockWidths, causal: bool) -> None:
        super().__init__()
        width = widths.width
        self.ffn1_norm = nn.LayerNorm(width)
        self.ffn1 = FeedForward(width, own.ffn1)
        self.attention_norm = nn.LayerNorm(width)
        self.attention = RelativeAttention(width, own.attention, widths.attention_scale, widths.farthest)
        self.conv_norm = nn.LayerNorm(width)
        self.conv = ConvolutionModule(width, own.conv, widths.kernel, causal)
        self.ffn2_norm = nn.LayerNorm(width)
        self.ffn2 = FeedForward(width, own.ffn2)

    def forward(self, x: Tensor, real: Tensor, seen: Tensor, drop: nn.Dropout) -> Tensor:
        """(batch, frames, width) to the same; see `RelativeAttention.attend` and `ConvolutionModule.forward`."""
        x = x + 0.5 * drop(self.ffn1(self.ffn1_norm(x)))
        x = x + drop(self.attention.attend(self.attention_norm(x), seen))
        x = x + drop(self.conv(self.conv_norm(x), real))
        return x + 0.5 * drop(self.ffn2(self.ffn2_norm(x)))  # type: ignore[no-any-return]

    def groups(self) -> list[Group]:
        """Those of all four."""
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
        self.layers = nn.ModuleList(Block(widths, own, streaming is not None) for own in widths.layers)
        self.norm = nn.LayerNorm(widths.width)

    def forward(self, x: Tensor, frames: Tensor, drop: nn.Dropout) -> tuple[Tensor, Tensor]:
        """(batch, frames, inputs) to (batch, frames, width)."""
        return self.with_intermediate(x, frames, drop)[1], frames

    def with_intermediate(self, x: Tensor, frames: Tensor, drop: nn.Dropout) -> tuple[Tensor, Tensor]:
        """What half of the blocks and what all of them make of `x`, both (batch, frames, width)."""
        real, seen = self.sight(x, frames)
        x = half = drop(self.project(x))
        for i, layer in enumerate(self.layers, 1):
            x = layer(x, real, seen, drop)
            if i == len(self.layers) // 2:
                half = x
        return self.norm(half), self.norm(x)

    def sight(self, x: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Which frames of `x` (batch, length, ...) are real, and which of them each frame may look at."""
        real = real_frames(frames, x.shape[1])
        seen = real[:, None]
        if self.streaming is not None:
            seen = seen & within_sight(x.shape[1], self.streaming, x.device)
        return real, seen

    def readers(self) -> list[str]:
        """What reads the inputs."""
        return ["project.weight"]

    def groups(self, name: str, readers: list[str]) -> list[Group]:
        """Layers and what is in them; the residual stream that `readers` read stays whole."""
        # A layer whose every branch adds zero is no layer.
        ends = [f"{branch}.{part}" for branch in ("ffn1.down", "attention.out", "conv.out", "ffn2.down")
                for part in ("weight", "bias")]  # fmt: skip
        count = len(self.layers)
        places = tuple(Place(f"{name}.layers.{i}.{end}", 0, unit=i) for i in range(count) for end in ends)
        members = [Group(f"{name}.layers", "layer", count, places)] if count else []
        for i, layer in enumerate(self.layers):
            members += prefixed(layer.groups(), f"{name}.layers.{i}")  # type: ignore[operator]
        return members
