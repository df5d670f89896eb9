"""About how long a job takes, by part: from operations, a short measurement of the machine, and hours of audio."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..data.manifest import Utterance, evenly
from ..evaluate.run import TOKENS_A_WORD
from ..models.family import Config, family_of
from .data import Work

if TYPE_CHECKING:
    from ..data.job import JobData

READ_A_SECOND = 300.0  # seconds of audio that are read and resampled in one
UTILISATION = 0.3  # share of a device's fastest matrix products that training and decoding reach, roughly
EXPORT, EXPORTED_A_SECOND = 3.0, 1e7  # seconds of any export, and parameters of a model that are written in one
STARTING = 2.0  # seconds: what any job takes
SAMPLED = 50  # clips of a set whose mean cost is taken
NOT_COUNTED = "downloads, ranking and shrinking, several processes, other work of the machine"


def job_seconds(
    data: JobData, original: Config, work: Work, flops: float, validations: int, speed: float
) -> dict[str, float]:
    """Seconds of reading, training, decoding and exporting; `flops` are of one arm's training.

    Every trained model and the original decode the test sets, every trained one the dev set at each of the
    `validations`; an exported one the test sets again, every export what is timed and decoded under conditions.
    """
    tests = [clip for clips in data.tests.values() for clip in clips]
    kept = [clip for clips in data.rehearsal_dev.values() for clip in clips]
    arms = work.trained if work.training is not None else 1
    decoded = (1 + arms) * _decoding(original, [*tests, *kept]) + arms * validations * _decoding(original, data.dev)
    exports = 1 + work.exports if work.precision else 0
    if exports and tests:
        mean = _decoding(original, tests) / len(tests)
        decoded += _decoding(original, tests) + exports * sum(min(count, len(tests)) for count in work.decoded) * mean
    clips = [*tests, *kept, *data.dev] if data.window else [*tests, *kept, *data.dev, *data.training, *data.rehearsal]
    return {
        "reading": STARTING + sum(clip.duration for clip in clips) / READ_A_SECOND,
        "training": arms * flops / (UTILISATION * speed),
        "decoding": decoded / (UTILISATION * speed),
        "export": exports * (EXPORT + family_of(original).parameters(original) / EXPORTED_A_SECOND),
    }


def _decoding(config: Config, clips: Sequence[Utterance]) -> float:
    """Floating-point operations of decoding `clips`, from the mean of some of them."""
    some = evenly(clips, SAMPLED)
    if not some:
        return 0.0
    macs = family_of(config).macs
    total = sum(
        float(macs(config, min(clip.duration, config.max_seconds), _tokens(clip), None)) * _windows(config, clip)
        for clip in some
    )
    return 2 * total * len(clips) / len(some)


def _tokens(clip: Utterance) -> int:
    from ..evaluate.error_rate import metric_for, units

    return round(TOKENS_A_WORD * len(units(clip.text, metric_for(clip.language))))


def _windows(config: Config, clip: Utterance) -> int:
    return max(math.ceil(clip.duration / config.max_seconds), 1)


def in_minutes(seconds: Mapping[str, float]) -> dict[str, float]:
    """Minutes by part and in all, to a tenth; never none in all."""
    parts = {name: round(value / 60, 1) for name, value in seconds.items()}
    return parts | {"all": math.ceil(sum(seconds.values()) / 6) / 10}
