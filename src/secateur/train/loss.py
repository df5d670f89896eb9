"""The protocol of losses, one `Objective` a model family; and losses as pure functions of logits, labels and
weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..models.network import Network
from .mix import Example
from .settings import TrainSettings
from .targets import IGNORE


def cross_entropy(logits: Tensor, labels: Tensor, smoothing: float = 0.0, weights: Tensor | None = None) -> Tensor:
    """Mean negative log-likelihood of `labels` (batch, length) under `logits` (batch, length, vocabulary).

    `weights` (batch,) scale each row's part of the sum; the mean is over all positions that count.
    """
    each = F.cross_entropy(  # one row a position: along the last dimension nothing has to be copied
        logits.float().flatten(0, 1), labels.flatten(), ignore_index=IGNORE, label_smoothing=smoothing, reduction="none"
    ).view_as(labels)
    if weights is not None:
        each = each * weights[:, None]
    return each.sum() / (labels != IGNORE).sum().clamp_min(1)


def speech_expected_loss(logits: Tensor, starts: Tensor, no_speech: int, rows: Tensor) -> Tensor:
    """The summed negative log-probability, (), that `rows` (batch,) are not silent, at their start tokens.

    `logits` (batch, length, vocabulary), `starts` (batch,) positions. Only the probability of `no_speech` is penalised:
    the distribution over languages is left alone.
    """
    at_start = logits[torch.arange(len(logits), device=logits.device), starts].float()
    silent = F.log_softmax(at_start, -1)[:, no_speech]
    return -(torch.log1p(-silent.exp().clamp_max(1 - 1e-6)) * rows).sum()


def distillation(
    logits: Tensor, teacher: Tensor, labels: Tensor, temperature: float = 1.0, weights: Tensor | None = None
) -> Tensor:
    """KL(teacher || student) a position, times temperature squared (Hinton et al. 2015, arXiv 1503.02531).

    Both are logits (batch, length, vocabulary) over the same, possibly pruned, vocabulary: the teacher's
    distribution is renormalised over the rows that `logits` have. `weights` (batch,) as in `cross_entropy`.
    """
    real = (labels != IGNORE).float()
    p = F.log_softmax(teacher.float() / temperature, -1)
    q = F.log_softmax(logits.float() / temperature, -1)
    divergence = (p.exp() * (p - q)).sum(-1) * real
    if weights is not None:
        divergence = divergence * weights[:, None]
    return divergence.sum() / real.sum().clamp_min(1) * temperature**2


def mean_absolute(parameters: Iterable[nn.Parameter]) -> Tensor:
    """L1: the mean absolute value over all weight matrices (biases, norms and positions are left alone)."""
    matrices = [p for p in parameters if p.dim() > 1 and p.requires_grad]
    total = torch.stack([p.abs().sum() for p in matrices]).sum()
    return total / sum(p.numel() for p in matrices)


def frame_distillation(
    log_probs: Tensor, teacher: Tensor, frames: Tensor, temperature: float = 1.0, weights: Tensor | None = None
) -> Tensor:
    """The summed KL(teacher || student) over all valid frames, times temperature squared.

    Both are log-probabilities (batch, frames, units); `frames` (batch,) are real. Summed, not averaged: over the units
    of a text it stands beside CTC's own likelihood, which is a sum over frames as well (Kurata and Audhkhasi 2018).
    A teacher may have a frame more or less at the end: what both have is compared.
    """
    length = min(log_probs.shape[1], teacher.shape[1])
    with torch.autocast(log_probs.device.type, enabled=False):
        p = F.log_softmax(teacher[:, :length].float() / temperature, -1)
        q = F.log_softmax(log_probs[:, :length].float() / temperature, -1)
        divergence = (p.exp() * (p - q)).sum(-1)
        real = torch.arange(length, device=log_probs.device) < frames.to(log_probs.device)[:, None]
        divergence = (divergence * real).sum(1)
        if weights is not None:
            divergence = divergence * weights
        return divergence.sum() * temperature**2


def pooled(log_probs: Tensor, frames: Tensor, ratio: int) -> Tensor:
    """CTC outputs (batch, frames, units) as of a network with one output for every `ratio` frames.

    A unit's probability is its largest in the frames that are pooled, the blank (0) is the remainder, and the sum is
    renormalised: a mean would halve every spike. `frames` (batch,) are valid; the others count as blank.
    """
    if ratio == 1:
        return log_probs
    probabilities = log_probs.float().exp()
    real = torch.arange(probabilities.shape[1], device=probabilities.device) < frames.to(probabilities.device)[:, None]
    units = F.pad(probabilities[..., 1:] * real[..., None], (0, 0, 0, -probabilities.shape[1] % ratio))
    units = units.view(len(units), -1, ratio, units.shape[2]).amax(2)
    blank = (1 - units.sum(-1, keepdim=True)).clamp_min(1e-6)
    merged = torch.cat([blank, units.clamp_min(1e-8)], -1)
    return (merged / merged.sum(-1, keepdim=True)).log()


def ctc_loss(log_probs: Tensor, frames: Tensor, rows: Sequence[Sequence[int]], weights: Tensor | None = None) -> Tensor:
    """Mean negative log-likelihood a unit of unit `rows` under `log_probs` (batch, frames, units), of which `frames`
    (batch,) are real; `weights` (batch,) scale each clip's part. A row without units has only blanks as its target and
    counts as one unit."""
    device = log_probs.device
    targets = torch.tensor([unit for row in rows for unit in row], dtype=torch.long, device=device)
    lengths = torch.tensor([len(row) for row in rows], device=device)
    with torch.autocast(device.type, enabled=False):  # sums of many small probabilities need float32
        each = F.ctc_loss(
            log_probs.float().transpose(0, 1), targets, frames.to(device), lengths, reduction="none", zero_infinity=True
        )
    if weights is not None:
        each = each * weights
    return each.sum() / lengths.clamp_min(1).sum()


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

    def __call__(self, model: Network, batch: Batch, settings: TrainSettings) -> Tensor:
        """The loss (a scalar) of `model` on `batch`, distillation included."""

    def counts(self, examples: Sequence[Example], step: int, settings: TrainSettings) -> list[int]:
        """How much of what the mean is taken over each of `examples` has at `step`.

        Draws (of targets, say) must depend on example and step alone: a batch is split over any number of processes.
        May be called on another thread, for a later step than the one that is trained.
        """
