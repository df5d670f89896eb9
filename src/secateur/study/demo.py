"""The demo: the main job on whatever real speech there is, small enough for two cores and a few minutes."""

from __future__ import annotations

import torch

from ..base.progress import say
from ..data.demo import demo_speech
from ..data.job import JobData
from ..data.manifest import limit, read_manifest
from ..prune.settings import PruneSettings
from ..train.settings import TrainSettings
from .adapt import AdaptSettings
from .sets_of_job import job_data

TEST_CLIPS = 100
DEV_CLIPS = 24
LEARN_HOURS = 1.0


def demo_data() -> JobData:
    """An hour or less to learn from, and a test set that two cores can decode three times."""
    speech = demo_speech()
    say(f"speech: {speech.name}. {speech.note}")
    return job_data(
        limit(read_manifest(speech.train), hours=LEARN_HOURS), limit(read_manifest(speech.dev), count=DEV_CLIPS),
        limit(read_manifest(speech.test), count=TEST_CLIPS), [], 12.0, torch.device("cpu"),
    )  # fmt: skip


def demo_settings() -> AdaptSettings:
    """Few steps at a high rate. Many rows stay: in so few steps no model learns to spell words that its rows lack."""
    return AdaptSettings(
        train=TrainSettings(
            steps=40, batch_seconds=60.0, learning_rate=6e-5, warmup=0.15, ema=0.9, validate_every=100.0,
            distillation=0.0, bpe_dropout=0.0, save_every=1000, augment=None,
        ),
        prune=PruneSettings(
            remove=0.4, every=3, begin=0.05, end=0.5, frequent=15000, audio_seconds=15.0, text_tokens=128
        ),
        rate_factor=1.5,
    )  # fmt: skip
