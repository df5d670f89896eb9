"""L2-SP: L2 regularisation towards the initial weights instead of towards zero."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .callback import Callback
from .offload import at_home, streamed


class L2SP(Callback):
    """The gradient of strength * sum (w - start)^2 over all trained weights (L2-SP, Li et al. 2018, arXiv 1802.01483).

    It joins the loss's gradient before clipping; the logged loss is without it. Weights that are exactly zero are left
    out, so that pruned weights stay at zero. With `offload` the start is in the computer's memory.
    """

    def __init__(self, model: nn.Module, strength: float, offload: bool = False) -> None:
        self.strength, self.offload = strength, offload
        self.parameters: list[Tensor] = [p for p in model.parameters() if p.requires_grad]
        self.start = [at_home(p, exact_half=True) if offload else p.detach().clone() for p in self.parameters]

    @torch.no_grad()
    def after_backward(self, step: int, total: int) -> None:
        for parameter in self.parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        if self.offload:
            for start, parameter in streamed(self.start, self.parameters):
                assert parameter.grad is not None
                apart = torch.sub(parameter, start).mul_(parameter != 0)
                parameter.grad.add_(apart, alpha=2 * self.strength)
            return
        self.start = [s.to(p.device) for s, p in zip(self.start, self.parameters, strict=True)]
        difference = list(torch._foreach_sub(self.parameters, self.start))
        torch._foreach_mul_(difference, [p != 0 for p in self.parameters])
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        torch._foreach_add_(gradients, difference, alpha=2 * self.strength)
