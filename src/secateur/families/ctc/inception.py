"""Inception blocks over time: parallel branches over 1, 3 or 5 frames (Szegedy et al. 2015, 2016)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...models.groups import Group, Place
from .config import TAPS, BranchWidths, InceptionWidths, Streaming, edges
from .frames import BatchNorm, MergedPass, reader_places, valid_frames


class Convolution(nn.Module):
    """Convolution over time, BatchNorm, ReLU; padding comes out as zero."""

    def __init__(self, before: int, channels: int, taps: int, stride: int = 1, causal: bool = False) -> None:
        super().__init__()
        self.stride, self.edges = stride, edges(taps - 1, causal)
        self.conv = nn.Conv1d(before, channels, taps, stride=stride, bias=False)
        self.norm = BatchNorm(channels)

    def forward(self, x: Tensor, frames: Tensor) -> Tensor:
        """(batch, before, frames) to (batch, channels, ceil(frames / stride)); `frames` are those after the stride."""
        x = self.conv(F.pad(x, self.edges))
        real = valid_frames(frames, x.shape[2])
        return F.relu(self.norm(x, real)) * real[:, None]

    @staticmethod
    def places(name: str) -> tuple[Place, ...]:
        """Where a channel of the convolution `name` is written."""
        return (Place(f"{name}.conv.weight", 0), *BatchNorm.places(f"{name}.norm"))


class Branch(nn.Module):
    """One branch: its convolutions in a row; `five` covers 5 frames with two convolutions of 3."""

    def __init__(self, before: int, widths: BranchWidths, causal: bool) -> None:
        super().__init__()
        self.widths, self.edges = widths, edges(2, causal)
        befores = (before, *widths.channels)
        self.convs = nn.ModuleList(
            Convolution(n, channels, taps, causal=causal)
            for n, channels, taps in zip(befores, widths.channels, TAPS[widths.kind], strict=False)
        )

    def forward(self, x: Tensor, frames: Tensor) -> Tensor:
        """(batch, before, frames) to (batch, channels, frames)."""
        if self.widths.kind == "pool":
            x = F.max_pool1d(F.pad(x, self.edges), 3, stride=1)  # inputs are zero or more: padding is never the maximum
        for conv in self.convs:
            x = conv(x, frames)
        return x


class InceptionBlock(nn.Module):
    """Branches side by side; their channels follow each other in the output."""

    def __init__(self, before: int, widths: tuple[BranchWidths, ...], causal: bool) -> None:
        super().__init__()
        self.widths = widths
        self.branches = nn.ModuleList(Branch(before, w, causal) for w in widths)
        self.width = sum(w.channels[-1] for w in widths)

    def forward(self, x: Tensor, frames: Tensor) -> Tensor:
        """(batch, before, frames) to (batch, width, frames)."""
        return torch.cat([branch(x, frames) for branch in self.branches], 1)

    def readers(self, name: str) -> list[str]:
        """The first convolution of every branch."""
        return [f"{name}.branches.{i}.convs.0.conv.weight" for i in range(len(self.widths))]

    def groups(self, name: str, readers: list[str]) -> list[Group]:
        """Whole branches, and the channels of each of their convolutions."""
        members: list[Group] = []
        ends: tuple[Place, ...] = ()
        start = 0
        for i, branch in enumerate(self.widths):
            convs, last = f"{name}.branches.{i}.convs", len(branch.channels) - 1
            for j, channels in enumerate(branch.channels):
                read = reader_places(readers, start) if j == last else reader_places([f"{convs}.{j + 1}.conv.weight"])
                places = Convolution.places(f"{convs}.{j}") + read
                members.append(Group(f"{convs}.{j}", "conv", channels, places, minimum=2))
            # A branch whose last norm gives zero equals no branch.
            ends += tuple(Place(f"{convs}.{last}.norm.{part}", 0, unit=i) for part in ("weight", "bias"))
            ends += reader_places(readers, start, branch.channels[-1], unit=i)
            start += branch.channels[-1]
        return [Group(f"{name}.branches", "branch", len(self.widths), ends), *members]


class Inception(nn.Module):
    """The stem, which may shorten the clip, then the blocks."""

    def __init__(self, inputs: int, widths: InceptionWidths, streaming: Streaming | None = None) -> None:
        super().__init__()
        self.widths, causal = widths, streaming is not None
        self.stem = Convolution(inputs, widths.stem, 2 * widths.stride + 1, widths.stride, causal)
        blocks, self.width = [], widths.stem
        for block in widths.blocks:
            blocks.append(InceptionBlock(self.width, block, causal))
            self.width = blocks[-1].width
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor, frames: Tensor, drop: nn.Dropout, merged: MergedPass) -> tuple[Tensor, Tensor]:
        """(batch, frames, inputs) to (batch, shorter, width), and the real frames of each row."""
        x = (x * valid_frames(frames, x.shape[1])[..., None]).transpose(1, 2)
        frames = (frames + self.widths.stride - 1) // self.widths.stride
        x, frames = merged.before(self.stem(x, frames).transpose(1, 2), frames)
        for block in self.blocks:
            x, frames = merged.after(drop(block(x.transpose(1, 2), frames)).transpose(1, 2), frames)
        return x, frames

    def readers(self) -> list[str]:
        """The parameters that read the inputs."""
        return ["stem.conv.weight"]

    def groups(self, name: str, readers: list[str]) -> list[Group]:
        """Channels of the stem, then each block's branches and channels."""
        blocks = list(self.blocks)
        reads = [block.readers(f"{name}.blocks.{i}") for i, block in enumerate(blocks)] + [readers]  # type: ignore[operator]
        stem = Convolution.places(f"{name}.stem") + reader_places(reads[0])
        members = [Group(f"{name}.stem", "conv", self.widths.stem, stem, minimum=2)]
        for i, block in enumerate(blocks):
            members += block.groups(f"{name}.blocks.{i}", reads[i + 1])  # type: ignore[operator]
        return members
