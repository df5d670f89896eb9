"""What an arm's training cost, from the configs and the clips it heard: so that "equal compute" is a number."""

from __future__ import annotations

from typing import Any

from ..data.job import JobData
from ..evaluate.error_rate import metric_for, units
from ..evaluate.run import TOKENS_A_WORD
from ..models.family import Config, family_of
from ..train.settings import TrainSettings
from ..train.stream import Mix, epoch_steps

BACKWARD = 3  # forward and backward cost three forward passes (gradients of activations and of weights)


def training_flops(
    config: Config, data: JobData, settings: TrainSettings | None, steps: int, teacher: Any | None
) -> float:
    """Floating-point operations of all optimiser steps: 2 a multiply-accumulate, the teacher's forward passes included.

    `config` is of what is trained: an arm that begins with fewer rows, a shorter context or frames further apart pays
    for those alone. Masked weights are multiplied like any others until training is over. Estimated from
    the mean clip of an epoch, without augmentation's change of speed.
    """
    if settings is None or not steps:
        return 0.0
    mix = Mix(tuple(u.duration for u in data.learn), tuple(u.duration for u in data.retain), data.retain_share)
    clips = [*data.learn, *data.retain]
    rows = mix.epoch(settings.seed, 0)

    def macs(of: Config, row: int, padded: bool | None) -> float:
        tokens = round(TOKENS_A_WORD * len(units(clips[row].text, metric_for(clips[row].language))))
        return float(family_of(of).macs(of, clips[row].duration, tokens, padded))

    total = BACKWARD * sum(macs(config, row, False) for row in rows)
    if teacher is not None and settings.distillation:
        told = rows if settings.distillation_on == "all" else [r for r in rows if r >= len(data.learn)]
        total += sum(macs(teacher.config, r, None) for r in told)
    return 2 * total * steps / epoch_steps(mix, settings.batch_seconds, settings.seed)
