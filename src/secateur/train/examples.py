"""The training examples of a job, for one model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from ..data.clip_index import durations_of, joined
from ..data.job import JobData
from ..data.manifest import Utterance
from ..models.family import Config
from .settings import TrainSettings
from .stream import Mix


def mix_of(data: JobData, config: Config, settings: TrainSettings) -> Mix:
    """The examples of a job for a model with `config`."""
    mix = Mix(durations_of(data.training), durations_of(data.rehearsal), data.rehearsal_share, data.window)
    if settings.mix is None or not settings.mix.on:
        return mix
    tokens = getattr(config, "tokens", None)
    languages = set(data.languages) | {u.language for u in data.rehearsal}
    if not data.languages:
        languages |= {u.language for u in data.training}
    return replace(
        mix,
        use=settings.mix,
        longest=min(config.max_seconds, data.shortest_context),
        stretch=1.0 if settings.augment is None else max(1 / speed for speed in settings.augment.speeds),
        timed=tokens is not None and tokens.timestamps is not None,
        recorded=data.nonspeech is not None,
        language=partial(_language, joined(data.training, data.rehearsal)) if len(languages) > 1 else None,
    )


def _language(clips: Sequence[Utterance], row: int) -> str:
    return clips[row].language
