"""RigL: sparse from the start; the smallest weights are exchanged for those with the largest gradients."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ...base.errors import SecateurError
from ..settings import PruneSettings
from ..shrink import Net
from .sparse import SparseMethod
from .threshold import lowest


def exchanged_share(time: float, first: float = 0.3) -> float:
    """The share of the active weights that is exchanged at `time` (0 to 1): a cosine from `first` to 0.

    >>> exchanged_share(0.0), round(exchanged_share(0.5), 6), exchanged_share(1.0)
    (0.3, 0.15, 0.0)
    """
    return first / 2 * (1 + math.cos(math.pi * time))


def exchange(weight: Tensor, active: Tensor, gradient: Tensor, share: float) -> Tensor:
    """The new `active` (bool, shaped like `weight`): `share` of the active weights, the smallest, go, and as many of
    those that are not active then, with the largest gradients, come (Evci et al. 2020, arXiv 1911.11134, section 3)."""
    count = min(round(share * int(active.sum())), int((~active).sum()))
    stays = active & ~lowest(weight.abs().masked_fill(~active, torch.inf), count)
    return stays | lowest(-gradient.abs().masked_fill(stays, -torch.inf), count)


class RigL(SparseMethod[Net]):
    """Sparse by `settings.criterion` from the first event on; then weights are exchanged within each matrix, fewer each
    time, until the span ends. What comes back starts at zero. The schedule is not used.

    Raises:
        SecateurError: with an N:M pattern, which exchanging would break.
    """

    reads = frozenset({"criterion", "scope", "every"})

    def __init__(self, model: Net, settings: PruneSettings, original: float) -> None:
        if settings.pattern:
            raise SecateurError("rigl exchanges weights freely within a matrix: leave the pattern out, or use 'parp'")
        super().__init__(model, settings, original)
        self.gradients: dict[str, Tensor] = {}  # of the step that is under way

    @torch.no_grad()
    def after_backward(self, step: int, total: int) -> None:
        super().after_backward(step, total)
        begin, _ = self.span(total)
        if not self.done and self.masks and (step + 1 - begin) % self.settings.every == 0:
            self.gradients = {n: p.grad.clone() for n, p in self.weights.items() if p.grad is not None}  # not clipped

    def after_step(self, step: int, total: int) -> None:
        begin, end = self.span(total)
        if self.done or step + 1 < begin:
            return
        if not self.masks:
            self.prune_to(1.0)
        elif (step + 1 - begin) % self.settings.every == 0 and step + 1 < end:
            self.event((step + 1 - begin) / (end - begin))
        if step + 1 >= end:
            self.finish()

    @torch.no_grad()
    def event(self, time: float) -> None:
        share = exchanged_share(time)
        for name, gradient in self.gradients.items():
            weight, active = self.weights[name], self.masks[name] != 0
            self.masks[name] = exchange(weight.detach(), active, gradient, share).to(weight.dtype)
        self.gradients = {}
