"""A network that gives for every frame the probabilities of all units and of none (CTC, Graves et al. 2006).

The sections of `CtcConfig` follow each other; each takes and gives (batch, frames, width) with the number of real
frames in each row, and declares its own groups. What reads a section's output is the section after it.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...base.errors import SecateurError
from ...models.groups import Group, Place, TimeAxis
from ...models.network import STREAM, FrameNetwork
from ..seq2seq.layers import frame_merges
from .config import CtcConfig, Streaming, SubsamplingWidths, edges
from .conformer import Conformer
from .frames import FrameMerges, MergedPass, reader_places, valid_frames
from .inception import Inception
from .recurrent import Recurrent
from .trunk import Trunk


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

    def forward(self, x: Tensor, frames: Tensor, drop: nn.Dropout, merged: MergedPass) -> tuple[Tensor, Tensor]:
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


SECTIONS = {
    "trunk": Trunk, "subsampling": Subsampling, "inception": Inception, "recurrent": Recurrent, "conformer": Conformer,
}  # fmt: skip


class Section(Protocol):
    """One part of the network."""

    width: int  # of its output

    def __call__(self, x: Tensor, frames: Tensor, drop: nn.Dropout, merged: MergedPass) -> tuple[Tensor, Tensor]:
        """(batch, frames, inputs) to (batch, frames, width), and the real frames of each row after it; `merged` merges
        those of its layers."""

    def readers(self) -> list[str]:
        """Its parameters whose columns (dimension 1) read its inputs, one a column."""

    def groups(self, name: str, readers: list[str]) -> list[Group]:
        """Its groups in a model that calls it `name`, where the parameters `readers` read its output."""


class CtcModel(FrameNetwork):
    """The sections, and the output."""

    config: CtcConfig

    def __init__(self, config: CtcConfig) -> None:
        super().__init__(config)
        width = config.front_end.inputs
        for name, section in SECTIONS.items():
            widths = getattr(config, name)
            if widths is not None:
                self.add_module(name, section(width, widths, config.streaming))
                width = self.sections()[name].width
        self.output = nn.Linear(width, config.units)
        widths = config.merge_widths if config.merge_learned else None
        self.merges = FrameMerges(frame_merges(config.frame_merging, widths, config.merge_similar))

    def sections(self) -> dict[str, Section]:
        """The sections of this network by name, in order."""
        return {name: getattr(self, name) for name in SECTIONS if hasattr(self, name)}

    def forward(self, features: Tensor, frames: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Log-probabilities (batch, output frames, units) in float32, and how many are valid in each row.

        `features` are (batch, frames, inputs), of which `frames` (batch,) are real (None: all). Rows of a padded batch
        equal the same clips run alone, as far as they are real.
        """
        x = features
        if frames is None:
            frames = torch.full((len(x),), x.shape[1], device=x.device)
        frames, merged = frames.to(x.device), MergedPass(self.merges)
        for section in self.sections().values():
            x, frames = section(x, frames, self.dropout, merged)
        return merged.outputs(self._log_probs(x), frames)

    def with_intermediate(self, features: Tensor, frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log-probabilities after the middle Conformer block (the last after which frames are merged, if that is later)
        and after the last, and the valid frames.

        The intermediate ones use the same norm and output (Lee and Watanabe 2021, arXiv 2102.03216): nothing is added
        to the network, and nothing to what it costs once it is trained.

        Raises:
            SecateurError: the network has no Conformer.
        """
        *before, last = self.sections().values()
        if not isinstance(last, Conformer):
            raise SecateurError("training.intermediate_ctc is for networks with a Conformer: set it to 0 for this one")
        x, frames, merged = features, frames.to(features.device), MergedPass(self.merges)
        for section in before:
            x, frames = section(x, frames, self.dropout, merged)
        middle, last_output, frames = last.with_intermediate(x, frames, self.dropout, merged)
        first, _ = merged.outputs(self._log_probs(middle), frames)
        return first, *merged.outputs(self._log_probs(last_output), frames)

    def _log_probs(self, x: Tensor) -> Tensor:
        """The output layer and its log-softmax, in float32."""
        logits: Tensor = self.output(x)
        return logits.float().log_softmax(-1)

    def ungrouped(self) -> dict[str, str]:
        """See `Network.ungrouped`."""
        return {"output.*": "a row for every unit of text", "*": STREAM}

    def on_first_grid(self) -> AbstractContextManager[object]:
        """See `Network.on_first_grid`."""
        return self.merges.on_first_grid()

    def time_axes(self) -> list[TimeAxis]:
        """Convolutions over time, and a Conformer's distances; recurrent layers need no change."""
        axes = []
        for name, parameter in self.named_parameters():
            if name.endswith(".positions"):
                axes.append(TimeAxis(name, 0, "position"))
            elif name.endswith(".distance"):
                axes.append(TimeAxis(name, 1, "distance"))
            elif parameter.dim() > 2 and parameter.shape[2] > 1:
                axes.append(TimeAxis(name, 2, "kernel"))
        return axes

    def groups(self) -> list[Group]:
        """All prunable groups: inputs, channels, branches, recurrent units, and what a Conformer block is made of."""
        sections = self.sections()
        reads = [[f"{name}.{reader}" for reader in section.readers()] for name, section in sections.items()]
        reads.append(["output.weight"])
        members = []
        if reads[0]:
            places = tuple(Place(reader, 1, reads=True) for reader in reads[0])
            members.append(Group("input", "input", self.config.front_end.inputs, places, minimum=4))
        for (name, section), readers in zip(sections.items(), reads[1:], strict=True):
            members += section.groups(name, readers)
        return members
