"""Convolutions over time and frequency that subsample a clip before the expensive layers."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from ...models.groups import Group, Place
from .config import Streaming, SubsamplingWidths, edges
from .frames import reader_places, valid_frames


class Subsampling(nn.Module):
    """3 x 3 convolutions with ReLU, each halving time and frequency (both rounded up).

    What is left of a frame is flattened, so that each channel owns as many consecutive columns of whatever reads the
    output as there are lines of frequency left.
    """

    def __init__(self, inputs: int, widths: SubsamplingWidths, streaming: Streaming | None = None) -> None:
        super().__init__()
        self.edges = edges(2, streaming is not None)
        befores = (1, *widths.channels)
        self.convs = nn.ModuleList(
            nn.Conv2d(before, channels, 3, stride=2, padding=(0, 1))
            for before, channels in zip(befores, widths.channels, strict=False)
        )
        self.channels, self.lines = widths.channels, inputs
        for _ in widths.channels:
            self.lines = (self.lines + 1) // 2
        self.width = widths.channels[-1] * self.lines

    def forward(self, x: Tensor, frames: Tensor, drop: nn.Dropout) -> tuple[Tensor, Tensor]:
        """(batch, frames, inputs) to (batch, shorter, channels * lines), and the real frames of each row."""
        x = x[:, None]
        for conv in self.convs:
            x = x * valid_frames(frames, x.shape[2])[:, None, :, None]
            x = F.relu(conv(F.pad(x, (0, 0, *self.edges))))
            frames = (frames + 1) // 2
        return drop(x.transpose(1, 2).flatten(2)), frames

    def readers(self) -> list[str]:
        """None: 2-D convolutions read neighbouring inputs together, so that no single one can be removed."""
        return []

    def groups(self, name: str, readers: list[str]) -> list[Group]:
        """Channels of each convolution."""
        members = []
        for i, channels in enumerate(self.channels):
            conv, last = f"{name}.convs.{i}", i + 1 == len(self.channels)
            written = (Place(f"{conv}.weight", 0), Place(f"{conv}.bias", 0))
            read = reader_places(readers, width=self.lines) if last else reader_places([f"{name}.convs.{i + 1}.weight"])
            members.append(Group(conv, "conv", channels, written + read, minimum=2))
        return members
