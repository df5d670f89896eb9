"""Clips become a batch: gathered, augmented, as features, all on the device that trains."""

from __future__ import annotations

import math
from typing import Any

import torch

from ..audio.augment import augment
from ..features.extractor import extractor
from ..features.specaugment import fitted, spec_augment
from .objective import Batch
from .run import Run
from .seeds import AUGMENT, seed_for
from .settings import TrainSettings


class Preparer:
    """Makes batches of a run; each process draws its own augmentation, decided by seed, step and rank."""

    def __init__(self, run: Run, settings: TrainSettings, model: Any, rank: int) -> None:
        self.run, self.settings, self.rank, self.model = run, settings, rank, model
        config = model.config
        self.features = extractor(config.front_end).to(run.bank.device)
        self.masks = None if settings.spec_augment is None else fitted(settings.spec_augment, config.front_end)
        self.random = torch.Generator(device=run.bank.device)
        self.sample_rate: int = config.front_end.sample_rate  # Hz
        self.most = None if math.isinf(config.max_seconds) else int(config.max_seconds * self.sample_rate)  # samples

    @torch.no_grad()
    def __call__(self, rows: list[int], step: int, total: int) -> Batch:
        """The clips `rows` of the bank at `step` of `total`."""
        run, settings = self.run, self.settings
        self.random.manual_seed(seed_for(AUGMENT, settings.seed, step, self.rank))
        audio, lengths = run.bank.gather(rows)
        if settings.augment is not None:
            audio, lengths = augment(audio, lengths, settings.augment, self.random, run.noise, self.sample_rate)
        if self.most is not None and audio.shape[1] > self.most:
            # Slowed down past the audio context: the end is cut rather than refused.
            audio, lengths = audio[:, : self.most], lengths.clamp_max(self.most)
        features, frames = self.features(audio, lengths, heard=self.model.heard)
        if self.masks is not None and step >= settings.spec_augment_start * total:
            features = spec_augment(features, frames, self.masks, self.random)
        return Batch(rows, len(run.mix.learn), audio, lengths, features, frames, step)
