"""L2-SP: L2 regularisation towards the initial weights instead of towards zero."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .callback import Callback


class L2SP(Callback):
    """The gradient of strength * sum (w - start)^2 over all trained weights (L2-SP, Li et al. 2018, arXiv 1802.01483).

    It joins the loss's gradient before clipping; the logged loss is without it. Weights that are exactly zero are left
    out, so that pruned weights stay at zero.
    """

    def __init__(self, model: nn.Module, strength: float) -> None:
        self.strength = strength
        self.parameters: list[Tensor] = [p for p in model.parameters() if p.requires_grad]
        self.start = [p.detach().clone() for p in self.parameters]

    @torch.no_grad()
    def after_backward(self, step: int, total: int) -> None:
        self.start = [s.to(p.device) for s, p in zip(self.start, self.parameters, strict=True)]
        difference = list(torch._foreach_sub(self.parameters, self.start))
        torch._foreach_mul_(difference, [p != 0 for p in self.parameters])
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.parameters]
        torch._foreach_add_(gradients, difference, alpha=2 * self.strength)
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient
