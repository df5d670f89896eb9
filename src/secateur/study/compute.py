"""What an arm's training cost, from the configs and the training clips: so that "equal compute" is a number."""

from __future__ import annotations

from collections.abc import Sequence

from ..data.job import JobData
from ..evaluate.error_rate import metric_for, units
from ..evaluate.run import TOKENS_A_WORD
from ..models.family import Config, TeacherModel, family_of
from ..train.mix import Example
from ..train.settings import TrainSettings
from ..train.stream import mix_of

WORDS_A_SECOND = 2.5  # of English
BACKWARD = 3  # forward and backward cost three forward passes (gradients of activations and of weights)


def training_flops(
    config: Config, data: JobData, settings: TrainSettings | None, steps: int, teacher: TeacherModel | None
) -> float:
    """Floating-point operations of all optimiser steps: 2 a multiply-accumulate, the teacher's forward passes included.

    `config` is of what is trained: an arm that begins with fewer rows, a shorter context or frames further apart pays
    for those alone. Masked weights are multiplied like any others until training is over. Estimated from
    the mean clip of an epoch, without augmentation's change of speed.
    """
    if settings is None or not steps:
        return 0.0
    mix = mix_of(data, config, settings)
    clips = [*data.training, *data.rehearsal]
    batches = [batch for part in mix.batches(settings.batch_seconds, settings.seed, 0) for batch in part]
    examples = [example for batch in batches for example in batch]

    def macs(of: Config, example: Example, padded: bool | None) -> float:
        words = sum(len(units(clips[row].text, metric_for(clips[row].language))) for row in example.complete)
        return float(family_of(of).macs(of, mix.seconds(example), round(TOKENS_A_WORD * words), padded))

    total = BACKWARD * sum(macs(config, example, False) for example in examples)
    if settings.mwer:  # every hypothesis is searched, then decoded with its gradient
        decoded = sum(macs(config, e, False) - _encoded(config, mix.seconds(e)) for e in examples if not e.timed)
        total += settings.mwer * settings.mwer_beam * (1 + BACKWARD) * decoded
    if teacher is not None and settings.distillation:
        first_rehearsal = len(data.training) if settings.distillation_on == "rehearsal" else 0
        total += sum(macs(teacher.model.config, e, None) for e in examples if e.clips and e.clips[0] >= first_rehearsal)
    return 2 * total * steps / len(batches)


def streamed_flops(config: Config, durations: Sequence[float], settings: TrainSettings, steps: int) -> float:
    """As `training_flops` where texts are not in memory: from the mean clip, at the usual pace of speech."""
    mean = sum(durations) / max(len(durations), 1)
    macs = family_of(config).macs(config, mean, round(TOKENS_A_WORD * WORDS_A_SECOND * mean), False)
    return 2 * BACKWARD * float(macs) * steps * settings.batch_seconds / max(mean, 0.1)


def _encoded(config: Config, seconds: float) -> float:
    """Multiply-accumulates of a clip before its first token."""
    return float(family_of(config).macs(config, seconds, 0, False))
