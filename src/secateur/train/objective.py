"""The protocol of losses: one `Objective` a model family, which alone knows what the network's outputs mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from .mix import Example
from .settings import TrainSettings


@dataclass(frozen=True)
class Batch:
    """Examples on the device; the first `training_clips` clips of the bank are the training set, the others the
    rehearsal set.

    `joints` are where each of an example's clips begins and ends, in timestamp steps of 20 ms; None where nothing
    is joined.
    """

    examples: list[Example]
    training_clips: int
    audio: Tensor  # (batch, samples), augmented
    lengths: Tensor  # (batch,) samples
    features: Tensor  # (batch, frames, inputs), masked by SpecAugment
    frames: Tensor  # (batch,)
    step: int
    joints: Tensor | None = None  # (batch, clips, 2)
    total: int = 1  # steps of the run

    def micro_batch(self, number: int, parts: int) -> Batch:
        """Micro-batch `number` of `parts`: every `parts`-th clip, so that long ones are spread evenly."""
        if parts == 1:
            return self
        every = slice(number, None, parts)
        return Batch(
            self.examples[every], self.training_clips, self.audio[every], self.lengths[every], self.features[every],
            self.frames[every], self.step, None if self.joints is None else self.joints[every],
            self.total,
        )  # fmt: skip

    def teacher_weights(self, settings: TrainSettings) -> Tensor | None:
        """The teacher's weight in each row's loss (batch,), or None when no row of this batch is distilled."""
        if not settings.distillation:
            return None
        first = self.training_clips if settings.distillation_on == "rehearsal" else 0
        distilled = [bool(e.clips) and e.clips[0] >= first for e in self.examples]  # joined clips are of one set
        if not any(distilled):
            return None
        return self.audio.new_tensor([settings.distillation if row else 0.0 for row in distilled])


class Objective(Protocol):
    """A loss for one batch: its mean over what counts in it (tokens, labels, clips), and how much of that there is.

    A batch may be split over processes and micro-batches: the loop weights each part's mean by its share of the
    counts, which gives the gradient of the mean over the whole batch.
    """

    def __call__(self, model: Any, batch: Batch, settings: TrainSettings) -> Tensor:
        """The loss (a scalar) of `model` on `batch`, distillation included."""

    def counts(self, examples: Sequence[Example], step: int, settings: TrainSettings) -> list[int]:
        """How much of what the mean is taken over each of `examples` has at `step`.

        Draws (of targets, say) must depend on example and step alone: a batch is split over any number of processes.
        May be called on another thread, for a later step than the one that is trained.
        """
