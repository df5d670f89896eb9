"""Losses as pure functions of logits, labels and weights."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .targets import IGNORE


def cross_entropy(logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
    """Mean negative log-likelihood of `labels` (batch, length) under `logits` (batch, length, vocabulary)."""
    return F.cross_entropy(logits.float().flatten(0, 1), labels.flatten(), ignore_index=IGNORE, label_smoothing=smoothing)


def distillation(student: Tensor, teacher: Tensor, labels: Tensor, temperature: float = 1.0) -> Tensor:
    """KL(teacher || student) a position, times temperature squared (Hinton et al. 2015, arXiv 1503.02531).

    Both are logits (batch, length, vocabulary) over the same, possibly pruned, vocabulary: the teacher's
    distribution is renormalised over the rows that the student has.
    """
    real = labels != IGNORE
    p = F.log_softmax(teacher.float() / temperature, -1)
    q = F.log_softmax(student.float() / temperature, -1)
    divergence = (p.exp() * (p - q)).sum(-1)
    return (divergence * real).sum() / real.sum().clamp_min(1) * temperature**2


def mean_absolute(parameters: Iterable[nn.Parameter]) -> Tensor:
    """L1: the mean absolute value over all weight matrices (biases, norms and positions are left alone)."""
    matrices = [p for p in parameters if p.dim() > 1 and p.requires_grad]
    total = torch.stack([p.abs().sum() for p in matrices]).sum()
    return total / sum(p.numel() for p in matrices)
