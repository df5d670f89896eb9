"""Bidirectional GRU and LSTM layers whose two directions have widths of their own."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...models.groups import Group, Place
from .config import DirectionWidths, RecurrentWidths, Streaming
from .frames import MergedPass, reader_places, reversed_frames

CELLS: dict[str, type[nn.GRU] | type[nn.LSTM]] = {"gru": nn.GRU, "lstm": nn.LSTM}
GATES = {"gru": 3, "lstm": 4}  # torch stores their rows one gate after the other


class Bidirectional(nn.Module):
    """One layer forwards and one (or none) backwards; the second starts at each row's last valid frame.

    A unit whose gates and biases are all zero stays zero: its candidate is tanh(0) = 0, whatever half-open gates
    (sigmoid(0) = 1/2) let through of it.
    """

    def __init__(self, inputs: int, cell: str, widths: DirectionWidths) -> None:
        super().__init__()
        self.cell, self.widths = cell, widths
        self.ahead = CELLS[cell](inputs, widths.ahead, batch_first=True)
        self.back = CELLS[cell](inputs, widths.back, batch_first=True) if widths.back else None

    def forward(self, x: Tensor, frames: Tensor) -> Tensor:
        """(batch, frames, inputs) to (batch, frames, ahead + back); padding follows the real frames in both."""
        # In float32 also where the rest is not: errors would add up over time, and not every CPU has bf16 LSTMs.
        with torch.autocast(x.device.type, enabled=False):
            x = x.float()
            ahead, _ = self.ahead(x)
            if self.back is None:
                return ahead  # type: ignore[no-any-return]
            back, _ = self.back(reversed_frames(x, frames))
        return torch.cat([ahead, reversed_frames(back, frames)], 2)

    def directions(self) -> dict[str, int]:
        """Units of each direction that there is."""
        return {name: n for name, n in (("ahead", self.widths.ahead), ("back", self.widths.back)) if n}

    def readers(self, name: str) -> list[str]:
        """The parameters that read the inputs."""
        return [f"{name}.{direction}.weight_ih_l0" for direction in self.directions()]

    def groups(self, name: str, readers: list[str]) -> list[Group]:
        """Units of each direction: their rows in every gate, their column in the recurrence, and who reads them."""
        members, start = [], 0
        for direction, units in self.directions().items():
            where = f"{name}.{direction}"
            rows = tuple(
                Place(f"{where}.{part}_l0", 0, start=gate * units)
                for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
                for gate in range(GATES[self.cell])
            )
            recurrence = Place(f"{where}.weight_hh_l0", 1, reads=True)
            members.append(Group(where, "unit", units, (*rows, recurrence, *reader_places(readers, start)), minimum=8))
            start += units
        return members


class Recurrent(nn.Module):
    """A stack of such layers."""

    def __init__(self, inputs: int, widths: RecurrentWidths, streaming: Streaming | None = None) -> None:
        super().__init__()
        layers, self.width = [], inputs
        for layer in widths.layers:
            layers.append(Bidirectional(self.width, widths.cell, layer))
            self.width = layer.ahead + layer.back
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor, frames: Tensor, drop: nn.Dropout, merged: MergedPass) -> tuple[Tensor, Tensor]:
        """(batch, frames, inputs) to (batch, frames, width)."""
        x, frames = merged.before(x, frames)
        for layer in self.layers:
            x, frames = merged.after(drop(layer(x, frames)), frames)
        return x, frames

    def readers(self) -> list[str]:
        """The parameters that read the inputs."""
        return self._layers()[0].readers("layers.0")

    def groups(self, name: str, readers: list[str]) -> list[Group]:
        """Units of every layer."""
        layers, members = self._layers(), []
        for i, layer in enumerate(layers):
            where = f"{name}.layers.{i}"
            after = layers[i + 1].readers(f"{name}.layers.{i + 1}") if i + 1 < len(layers) else readers
            members += layer.groups(where, after)
        return members

    def _layers(self) -> list[Bidirectional]:
        return [layer for layer in self.layers if isinstance(layer, Bidirectional)]
