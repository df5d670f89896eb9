"""Low-rank updates (LoRA): the control that trains as few numbers as a pruned model keeps, yet removes none.

Every linear layer computes W x + B (A x) with a frozen W; A (rank, in) starts random, B (out, rank) at zero, so that
the start is the model itself (Hu et al. 2021, arXiv 2106.09685). Afterwards W + B A is written into W.

A pruner beside it ranks what the layers multiply by, W + B A (as LoRAPrune does, Zhang et al. 2023, arXiv 2305.18403),
by its exact gradient, and what it removes is zeroed in W, in rows of B and in columns of A alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..base.errors import SecateurError
from .settings import TrainSettings


class LowRankLinear(nn.Linear):
    """A linear layer with a frozen weight and a trainable update `up` (out, rank) @ `down` (rank, in).

    A layer becomes one in place (`begin`) and is a plain one again afterwards (`end`): what holds the module or hooks
    on it (a pruner's evidence) still has it.
    """

    down: nn.Parameter
    up: nn.Parameter

    @classmethod
    def begin(cls, linear: nn.Linear, rank: int, random: torch.Generator) -> LowRankLinear:
        """`linear` with an update of rank `rank` that is zero."""
        device, bound = linear.weight.device, 1 / math.sqrt(linear.in_features)
        start = (torch.rand(rank, linear.in_features, generator=random) * 2 - 1) * bound
        linear.__class__ = cls
        assert isinstance(linear, LowRankLinear)
        linear.down = nn.Parameter(start.to(device))
        linear.up = nn.Parameter(torch.zeros(linear.out_features, rank, device=device))
        return linear

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) to (..., out)."""
        return F.linear(x, self.weight, self.bias) + F.linear(F.linear(x, self.down), self.up)

    @torch.no_grad()
    def merged(self) -> Tensor:
        """The weight (out, in) with its update, in double precision: the product of the factors is rounded once."""
        return self.weight.double() + self.up.double() @ self.down.double()

    @torch.no_grad()
    def end(self) -> None:
        """Write the update into the weight; a plain layer from now on."""
        self.weight.copy_(self.merged())
        del self.up, self.down
        self.__class__ = nn.Linear  # type: ignore[assignment]


@torch.no_grad()
def merged_weight(layer: nn.Linear) -> Tensor:
    """The weight (out, in) that a linear layer multiplies by, its update included."""
    return torch.addmm(layer.weight, layer.up, layer.down) if isinstance(layer, LowRankLinear) else layer.weight


def merged_weights(model: nn.Module) -> dict[str, Tensor]:
    """All parameters by name, those of layers with updates as what they multiply by; the factors are left out."""
    weights: dict[str, Tensor] = dict(model.named_parameters())
    for name, module in model.named_modules():
        if isinstance(module, LowRankLinear):
            weights[f"{name}.weight"] = merged_weight(module)
            del weights[f"{name}.up"], weights[f"{name}.down"]
    return weights


def factor_masks(model: nn.Module, masks: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Masks of the factors of every layer whose weight `masks` zeroes: rows of `up`, columns of `down`.

    A mask of whole units is that of some rows times that of some columns, so that
    mask * (W + up @ down) = mask * W + (rows * up) @ (down * columns).

    Raises:
        SecateurError: a mask of single weights, which no factors have.
    """
    factors: dict[str, Tensor] = {}
    for name, module in model.named_modules():
        mask = masks.get(f"{name}.weight")
        if mask is None or not isinstance(module, LowRankLinear):
            continue
        rows, columns = mask.ne(0).any(1, keepdim=True), mask.ne(0).any(0, keepdim=True)
        if not torch.equal((rows & columns).expand_as(mask), mask.ne(0)):
            raise SecateurError(f"{name}: zeros among single weights have no low-rank form; remove whole units")
        factors |= {f"{name}.up": rows.to(mask.dtype), f"{name}.down": columns.to(mask.dtype)}
    return factors


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


def check_low_rank(model: nn.Module, settings: TrainSettings) -> None:
    """Refuse low-rank updates that `model` cannot have.

    Raises:
        SecateurError: a share that no rank has, or interpolation beside it.
    """
    if not settings.low_rank_updates:
        return
    if settings.share_trained < 1:
        raise SecateurError("interpolation cannot go with low-rank updates: the mean of factors is not that of weights")
    if not linear_layers(model):
        raise SecateurError("low-rank updates are of linear layers, and this model has none: leave out lora_rank")
    if settings.lora_share:
        rank_for(model, settings.lora_share)


@contextmanager
def low_rank(model: nn.Module, settings: TrainSettings) -> Iterator[None]:
    """Inside, only low-rank updates of `model`'s linear layers can be trained, as `settings` ask; after, they are in
    the weights and the model is what it was. Does nothing when they ask for none.

    Raises:
        SecateurError: see `check_low_rank`.
    """
    check_low_rank(model, settings)
    if not settings.low_rank_updates:
        yield
        return
    rank = settings.lora_rank or rank_for(model, settings.lora_share)
    trainable = [p for p in model.parameters() if p.requires_grad]
    random = torch.Generator().manual_seed(settings.seed)
    for parameter in trainable:
        parameter.requires_grad_(False)
    wrapped = [
        LowRankLinear.begin(layer, min(rank, layer.in_features, layer.out_features), random)
        for layer in linear_layers(model).values()
    ]
    try:
        yield
    finally:
        for layer in wrapped:
            layer.end()
        for parameter in trainable:
            parameter.requires_grad_(True)
