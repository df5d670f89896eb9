"""Low-rank updates (LoRA): the control that trains as few numbers as a pruned model keeps, yet removes none.

Every linear layer computes W x + B (A x) with a frozen W; A (rank, in) starts random, B (out, rank) at zero, so that
the start is the model itself (Hu et al. 2021, arXiv 2106.09685). Afterwards W + B A is written into W.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..base.errors import SecateurError
from .settings import TrainSettings


class LowRankLinear(nn.Linear):
    """A linear layer with a frozen weight and a trainable update of rank `rank`; takes over `linear`'s parameters."""

    def __init__(self, linear: nn.Linear, rank: int, random: torch.Generator) -> None:
        super().__init__(linear.in_features, linear.out_features, bias=False, device="meta")
        self.weight, self.bias = linear.weight, linear.bias
        device, bound = linear.weight.device, 1 / math.sqrt(linear.in_features)
        start = (torch.rand(rank, linear.in_features, generator=random) * 2 - 1) * bound
        self.down = nn.Parameter(start.to(device))
        self.up = nn.Parameter(torch.zeros(linear.out_features, rank, device=device))

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) to (..., out)."""
        return F.linear(x, self.weight, self.bias) + F.linear(F.linear(x, self.down), self.up)

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """A plain layer with the update in its weight."""
        plain = nn.Linear(self.in_features, self.out_features, bias=False, device="meta")
        plain.weight, plain.bias = self.weight, self.bias
        # In double precision: the product of the factors is rounded once.
        plain.weight.copy_(self.weight.double() + self.up.double() @ self.down.double())
        return plain.train(self.training)


def linear_layers(model: nn.Module) -> dict[str, nn.Linear]:
    """All linear layers by name."""
    return {name: module for name, module in model.named_modules() if type(module) is nn.Linear}


def rank_for(model: nn.Module, share: float) -> int:
    """The rank whose updates have about `share` of the model's parameters (at most that, at least rank 1).

    Raises:
        SecateurError: not even full-rank updates have so many.
    """
    layers = linear_layers(model).values()
    budget = share * sum(p.numel() for p in model.parameters())
    most = max((min(m.in_features, m.out_features) for m in layers), default=0)

    def count(rank: int) -> int:
        return sum(min(rank, m.in_features, m.out_features) * (m.in_features + m.out_features) for m in layers)

    if not 0 < share <= 1 or count(most) < budget:
        raise SecateurError(
            f"lora_share {share}: updates of this model's linear layers have at most "
            f"{count(most) / max(sum(p.numel() for p in model.parameters()), 1):.3g} of its parameters"
        )
    return max([rank for rank in range(1, most + 1) if count(rank) <= budget], default=1)


@contextmanager
def low_rank(model: nn.Module, settings: TrainSettings) -> Iterator[None]:
    """Inside, only low-rank updates of `model`'s linear layers can be trained, as `settings` ask; after, they are in
    the weights and the model is what it was. Does nothing when they ask for none.

    Raises:
        SecateurError: a share that no rank has, or interpolation beside it.
    """
    if not settings.lora_rank and not settings.lora_share:
        yield
        return
    if settings.share_trained < 1:
        raise SecateurError("interpolation cannot go with low-rank updates: the mean of factors is not that of weights")
    rank = settings.lora_rank or rank_for(model, settings.lora_share)
    trainable = [p for p in model.parameters() if p.requires_grad]
    random = torch.Generator().manual_seed(settings.seed)
    wrapped = {
        name: LowRankLinear(layer, min(rank, layer.in_features, layer.out_features), random)
        for name, layer in linear_layers(model).items()
    }
    for parameter in trainable:
        parameter.requires_grad_(False)
    for name, layer in wrapped.items():
        model.set_submodule(name, layer)
    try:
        yield
    finally:
        for name, layer in wrapped.items():
            model.set_submodule(name, layer.merged())
        for parameter in trainable:
            parameter.requires_grad_(True)
