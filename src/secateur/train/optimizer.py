"""The optimiser of a run, AdamW or Adafactor (whose state is a row and a column a matrix), and its learning rate."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

from ..base.files import Json
from .settings import TrainSettings
from .sharded_adafactor import ShardedAdafactor

# Adafactor's rate is relative: a step is this times the root mean square of the weights (Shazeer and Stern 2018, arXiv
# 1804.04235). Linear layers of pretrained Transformers are near 0.04, so that a rate of AdamW moves them as far.
RELATIVE = 25.0


def make_optimizer(
    parameters: Iterable[nn.Parameter], extra: Iterable[nn.Parameter], settings: TrainSettings, device: torch.device
) -> torch.optim.Optimizer:
    """The optimiser of `settings`: weights decay, biases and norms do not; `extra` have a rate of their own.

    The loop sets every group's `lr` to the rate of the step times the group's `times`.
    """
    parameters, extra = list(parameters), list(extra)
    adafactor = settings.optimizer == "adafactor"
    times = RELATIVE if adafactor else 1.0
    groups: list[Json] = [
        {
            "params": [p for p in parameters if p.dim() > 1],
            "weight_decay": settings.weight_decay / times,
            "times": times,
        },
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0, "times": times},
    ]
    if extra:
        groups.append({"params": extra, "weight_decay": 0.0, "times": times * settings.auxiliary_rate})
    if adafactor and any(hasattr(p, "to_local") for p in parameters):
        return ShardedAdafactor(groups, lr=settings.learning_rate)
    if adafactor:  # one matrix after the other: `foreach` would hold all updates at once
        return torch.optim.Adafactor(groups, lr=settings.learning_rate, foreach=False)
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.98), fused=device.type == "cuda")


def rate_at(step: int, total: int, settings: TrainSettings) -> float:
    """Learning rate of `step`: linear warm-up, then a cosine (Loshchilov and Hutter 2017, arXiv 1608.03983)."""
    warm = max(1, round(settings.warmup * total))
    if step < warm:
        return settings.learning_rate * (step + 1) / warm
    progress = (step - warm) / max(1, total - warm)
    floor = settings.final_rate
    return settings.learning_rate * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress)))
