"""What a model family asks of a batch: the one piece of the loop that knows what the network's outputs mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from .settings import TrainSettings


@dataclass(frozen=True)
class Batch:
    """Clips on the device: `rows` are their numbers in the bank; the first `learn` clips of the bank are to be learnt,
    the others to be retained."""

    rows: list[int]
    learn: int
    audio: Tensor  # (batch, samples), augmented
    lengths: Tensor  # (batch,) samples
    features: Tensor  # (batch, frames, inputs), masked by SpecAugment
    frames: Tensor  # (batch,)
    step: int

    def told(self, settings: TrainSettings) -> Tensor | None:
        """The teacher's share of each row's loss (batch,), or None when it has no part in this batch."""
        if settings.distil <= 0:
            return None
        first = self.learn if settings.distil_on == "retain" else 0
        if max(self.rows) < first:
            return None
        return self.audio.new_tensor([settings.distil if row >= first else 0.0 for row in self.rows])


class Objective(Protocol):
    """A loss for one batch, its mean over what counts in it."""

    def __call__(self, model: Any, batch: Batch, settings: TrainSettings) -> Tensor:
        """The loss (a scalar) of `model` on `batch`, teachers' parts included."""
