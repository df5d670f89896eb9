"""The learning rate over the steps of a run."""

from __future__ import annotations

import math

from .settings import TrainSettings


def rate_at(step: int, total: int, settings: TrainSettings) -> float:
    """Learning rate of `step`: linear warm-up, then a cosine (Loshchilov and Hutter 2017, arXiv 1608.03983)."""
    warm = max(1, round(settings.warmup * total))
    if step < warm:
        return settings.learning_rate * (step + 1) / warm
    progress = (step - warm) / max(1, total - warm)
    floor = settings.final_rate
    return settings.learning_rate * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress)))
