"""A Whisper's encoder as a section of a CTC model: a pretrained encoder under a CTC output."""

from __future__ import annotations

from torch import Tensor, nn

from ...models.groups import Group, Place, prefixed
from ..whisper.model import WhisperEncoder
from .config import Streaming, TrunkWidths
from .frames import MergedPass, valid_frames


class Trunk(WhisperEncoder):
    """The encoder as it is, one output every second frame; its groups are those that it has in a Whisper."""

    def __init__(self, inputs: int, widths: TrunkWidths, streaming: Streaming | None = None) -> None:
        super().__init__(inputs, widths.convs, widths.width, widths.context, widths.layers, widths.attention_scale)
        self.width, self.convs = widths.width, widths.convs

    def forward(  # type: ignore[override]
        self, features: Tensor, frames: Tensor, drop: nn.Dropout, merged: MergedPass
    ) -> tuple[Tensor, Tensor]:
        """(batch, frames, mels) to (batch, positions, width), and the real positions of each row.

        Frames beyond the positions are cut off.
        """
        limit = 2 * len(self.positions)
        features, frames = features[:, :limit], frames.clamp_max(limit)
        # A row without frames is computed with one, which is not read.
        x, _ = self.embed(features, frames.clamp_min(1), drop)
        x, frames = merged.before(x, (frames + 1) // 2)
        for layer in self.layers:
            mask = valid_frames(frames.clamp_min(1), x.shape[1])[:, None, None]
            x, frames = merged.after(layer(x, mask, drop), frames)
        return self.norm(x), frames

    def readers(self) -> list[str]:
        """The weights that read the features: those of the first convolution."""
        return ["conv1.weight"]

    def groups(self, name: str, readers: list[str]) -> list[Group]:
        """Channels, layers and what is in them; the residual stream that `readers` read stays whole."""
        conv = (
            Place(f"{name}.conv1.weight", 0),
            Place(f"{name}.conv1.bias", 0),
            Place(f"{name}.conv2.weight", 1, reads=True),
        )
        members = [Group(f"{name}.conv", "conv", self.convs, conv, minimum=8)]
        # A layer whose branches all add zero equals no layer.
        ends = [f"{end}.{part}" for end in ("attention.out", "ffn.down") for part in ("weight", "bias")]
        count = len(self.layers)
        layer_places = tuple(Place(f"{name}.layers.{i}.{end}", 0, unit=i) for i in range(count) for end in ends)
        members += [Group(f"{name}.layers", "layer", count, layer_places)] if count else []
        for i, layer in enumerate(self.layers):
            members += prefixed(layer.groups(), f"{name}.layers.{i}")  # type: ignore[operator]
        return members
