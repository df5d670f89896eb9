"""The objective of CTC models: any alignment of the units with the frames (Graves et al. 2006)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from .objective import Batch
from .settings import TrainSettings


@dataclass
class Ctc:
    """Negative log-likelihood a unit of every clip's unit row (blank is 0 and in none of them).

    A clip with fewer frames than its units need has no alignment: it counts as zero rather than as infinity.
    """

    rows: Sequence[Sequence[int]]

    def __call__(self, model: Any, batch: Batch, settings: TrainSettings) -> Tensor:
        """The loss of one batch."""
        log_probs, frames = model(batch.features, batch.frames)
        rows = [self.rows[i] for i in batch.rows]
        device = log_probs.device
        targets = torch.tensor([unit for row in rows for unit in row], device=device)
        lengths = torch.tensor([len(row) for row in rows], device=device)
        with torch.autocast(device.type, enabled=False):  # sums of many small probabilities need float32
            each = F.ctc_loss(
                log_probs.float().transpose(0, 1), targets, frames.to(device), lengths, reduction="none",
                zero_infinity=True,
            )  # fmt: skip
        return each.sum() / lengths.sum().clamp_min(1)

    def counts(self, rows: Sequence[int], step: int, settings: TrainSettings) -> list[int]:
        """Units of each clip."""
        return [len(self.rows[i]) for i in rows]
