"""The toy's network and its group of units."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from secateur.models.groups import Group, Place
from secateur.models.network import FrameNetwork

from .config import ToyConfig


class ToyNetwork(FrameNetwork):
    """Features (batch, frames, inputs) to log probabilities (batch, frames, units)."""

    def __init__(self, config: ToyConfig) -> None:
        super().__init__(config)
        self.up = nn.Conv1d(config.front_end.inputs, config.hidden, 3, padding=1)
        self.output = nn.Linear(config.hidden, config.units)

    def forward(self, features: Tensor, frames: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if frames is None:
            frames = torch.full((len(features),), features.shape[1], device=features.device)
        real = torch.arange(features.shape[1], device=features.device) < frames[:, None]
        x = self.up((features * real[..., None]).transpose(1, 2)).transpose(1, 2).relu()
        return self.output(self.dropout(x)).float().log_softmax(-1), frames

    def groups(self) -> list[Group]:
        places = (Place("up.weight", 0), Place("up.bias", 0), Place("output.weight", 1, reads=True))
        return [Group("up", "ffn", self.config.hidden, places)]
