"""L2 towards the start: fine-tuned weights are held near the ones they came from."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .callback import Callback


class PullToStart(Callback):
    """The penalty strength * sum (w - start)^2 over all trained weights (L2-SP, Li et al. 2018, arXiv 1802.01483).

    Weights that are exactly zero are left out: what a pruner removed is not pulled back.
    """

    def __init__(self, model: nn.Module, strength: float) -> None:
        self.strength = strength
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.start = [p.detach().clone() for p in self.parameters]

    def penalty(self, step: int, total: int) -> Tensor | None:
        self.start = [s.to(p.device) for s, p in zip(self.start, self.parameters, strict=True)]
        distances = [
            ((p - s) * (p.detach() != 0)).float().square().sum()
            for p, s in zip(self.parameters, self.start, strict=True)
        ]
        return self.strength * torch.stack(distances).sum()
