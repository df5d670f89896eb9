"""How much a single weight matters: one function a criterion, of the weight and what was gathered about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class WeightEvidence:
    """About one matrix: running sums over steps, and the norm of each input feature it reads."""

    gradient_square: Tensor | None = None  # sum of (g * w)^2, same shape as the weight
    movement: Tensor | None = None  # sum of -g * w
    inputs: Tensor | None = None  # L2 norms (in,)
    seed: int = 0


def magnitude(weight: Tensor, evidence: WeightEvidence) -> Tensor:
    """|w|."""
    return weight.abs()


def taylor(weight: Tensor, evidence: WeightEvidence) -> Tensor:
    """Root of the summed squares of g * w: the loss change to first order (Molchanov et al. 2019)."""
    assert evidence.gradient_square is not None
    return evidence.gradient_square.sqrt()


def movement(weight: Tensor, evidence: WeightEvidence) -> Tensor:
    """Sum of -g * w: weights that training pushes towards zero go first (Sanh et al. 2020, arXiv 2005.07683)."""
    assert evidence.movement is not None
    return evidence.movement


def wanda(weight: Tensor, evidence: WeightEvidence) -> Tensor:
    """|w| times the norm of the input feature that it multiplies (Sun et al. 2024, arXiv 2306.11695)."""
    assert evidence.inputs is not None
    shape = [1, -1] + [1] * (weight.dim() - 2)
    return weight.abs() * evidence.inputs.view(shape)


def chance(weight: Tensor, evidence: WeightEvidence) -> Tensor:
    """Random scores, the same whenever they are asked for: the control that every criterion has to beat."""
    generator = torch.Generator().manual_seed(evidence.seed)
    return torch.rand(weight.shape, generator=generator).to(weight.device)


WEIGHT_CRITERIA: dict[str, Callable[[Tensor, WeightEvidence], Tensor]] = {
    "magnitude": magnitude,
    "taylor": taylor,
    "movement": movement,
    "wanda": wanda,
    "random": chance,
}
"""Higher matters more."""
