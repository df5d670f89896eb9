"""The hard-concrete distribution of gates in [0, 1] (Louizos et al. 2018, arXiv 1712.01312), as pure functions.

A logit a and a uniform draw u give s = sigmoid((log u - log(1 - u) + a) / BETA), stretched to (LOW, HIGH) and clipped:
both 0 and 1 have mass, and between them the gate is differentiable in a.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

BETA, LOW, HIGH = 2 / 3, -0.1, 1.1


def sampled(logits: Tensor, uniform: Tensor) -> Tensor:
    """Gates for draws `uniform` in (0, 1), differentiable in `logits`."""
    noise = uniform.log() - torch.log1p(-uniform)
    return (torch.sigmoid((noise + logits) / BETA) * (HIGH - LOW) + LOW).clamp(0, 1)


def open_chance(logits: Tensor) -> Tensor:
    """P(gate > 0) = sigmoid(a - BETA log(-LOW / HIGH)), equation 12."""
    return torch.sigmoid(logits - BETA * math.log(-LOW / HIGH))


def settled(logits: Tensor) -> Tensor:
    """The gate that is used without noise, equation 13."""
    return (torch.sigmoid(logits) * (HIGH - LOW) + LOW).clamp(0, 1)
