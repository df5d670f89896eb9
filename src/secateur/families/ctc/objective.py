"""The objective of CTC models: any alignment of the units with the frames (Graves et al. 2006), and a teacher's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...audio.resample_torch import resample_rows
from ...models.network import FrameNetwork
from ...train.loss import Batch, ctc_loss, frame_distillation, pooled
from ...train.mix import Example
from ...train.settings import TrainSettings


@dataclass
class FrameTeacher:
    """A frozen CTC model with the same units, which gets the clip without SpecAugment.

    `sample_rate` is that of the student's audio; so many of the teacher's frames, `ratio`, are one of the student's.
    """

    model: FrameNetwork
    features: nn.Module
    sample_rate: int
    ratio: int = 1

    @torch.no_grad()
    def log_probs(self, audio: Tensor, lengths: Tensor) -> Tensor:
        """(batch, frames, units), in the student's frames."""
        audio, lengths = resample_rows(audio, lengths, self.sample_rate, self.model.config.front_end.sample_rate)
        log_probs, frames = self.model(*self.features(audio, lengths))
        return pooled(log_probs, frames, self.ratio)


@dataclass
class Ctc:
    """Negative log-likelihood a unit of every clip's unit row (blank is 0 and in none of them).

    With `settings.intermediate_ctc` that share of the loss is on the middle block of a Conformer; with a teacher, its
    distribution in every frame is distilled (see `TrainSettings.distillation`). A clip with fewer frames than its
    units need has no alignment: it counts as zero rather than as infinity.
    """

    rows: Sequence[Sequence[int]]
    teacher: FrameTeacher | None = None
    boundary: int | None = None  # the output between two words, where there is one

    def __call__(self, model: FrameNetwork, batch: Batch, settings: TrainSettings) -> Tensor:
        """The loss of one batch."""
        intermediate, units = None, [self.target(example) for example in batch.examples]
        if settings.intermediate_ctc:
            intermediate, log_probs, frames = model.with_intermediate(batch.features, batch.frames)
        else:
            log_probs, frames = model(batch.features, batch.frames)
        teacher_weights = None if self.teacher is None else batch.teacher_weights(settings)
        loss = self._likelihood(log_probs, frames, units, teacher_weights)
        if intermediate is not None:
            share = settings.intermediate_ctc
            loss = (1 - share) * loss + share * self._likelihood(intermediate, frames, units, teacher_weights)
        if teacher_weights is not None and self.teacher is not None:
            teacher_log_probs = self.teacher.log_probs(batch.audio, batch.lengths)
            unit_count = sum(max(len(row), 1) for row in units)
            distilled = frame_distillation(
                log_probs, teacher_log_probs, frames, settings.distillation_temperature, teacher_weights
            )
            loss = loss + distilled / unit_count
        return loss

    def counts(self, examples: Sequence[Example], step: int, settings: TrainSettings) -> list[int]:
        """Units of each example; one without speech counts as one."""
        return [max(len(self.target(example)), 1) for example in examples]

    def target(self, example: Example) -> Sequence[int]:
        """The units of an example: those of its clips, with a word boundary between two; none without speech."""
        if len(example.clips) == 1:
            return self.rows[example.clips[0]]
        units: list[int] = []
        for row in example.clips:
            units += [self.boundary] if units and self.boundary is not None and len(self.rows[row]) else []
            units += self.rows[row]
        return units

    def _likelihood(
        self, log_probs: Tensor, frames: Tensor, units: Sequence[Sequence[int]], teacher_weights: Tensor | None
    ) -> Tensor:
        """The CTC loss a unit; each example is weighted by what the teacher's weight leaves."""
        return ctc_loss(log_probs, frames, units, None if teacher_weights is None else 1 - teacher_weights)
