"""What a model family asks of a batch: the one piece of the loop that knows what the network's outputs mean."""

from __future__ import annotations

from collections.abc import Sequence
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

    def part(self, number: int, parts: int) -> Batch:
        """Micro-batch `number` of `parts`: every `parts`-th clip, so that long ones are dealt evenly."""
        if parts == 1:
            return self
        every = slice(number, None, parts)
        return Batch(
            self.rows[every], self.learn, self.audio[every], self.lengths[every], self.features[every],
            self.frames[every], self.step,
        )  # fmt: skip

    def told(self, settings: TrainSettings) -> Tensor | None:
        """The teacher's share of each row's loss (batch,), or None when it has no part in this batch."""
        if not settings.distillation:
            return None
        first = self.learn if settings.distillation_on == "rehearsal" else 0
        if max(self.rows) < first:
            return None
        return self.audio.new_tensor([settings.distillation if row >= first else 0.0 for row in self.rows])


class Objective(Protocol):
    """A loss for one batch: its mean over what counts in it (tokens, labels, clips), and how much of that there is.

    A batch may be dealt to several processes and micro-batches: the loop weighs each part's mean by its share of the
    counts, which gives the gradient of the mean over the whole batch.
    """

    def __call__(self, model: Any, batch: Batch, settings: TrainSettings) -> Tensor:
        """The loss (a scalar) of `model` on `batch`, teachers' parts included."""

    def counts(self, rows: Sequence[int], step: int, settings: TrainSettings) -> list[int]:
        """How much of what the mean is taken over each of the bank's `rows` has at `step`.

        Draws (of targets, say) must depend on row and step alone: every process asks for all rows of the batch.
        """
