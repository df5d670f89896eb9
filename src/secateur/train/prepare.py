"""From clips to a batch: gathered, augmented and turned into features on the training device."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ..audio.augment import augment
from ..audio.effects import change_speed, played_lengths
from ..features.front_end import extractor
from ..features.specaugment import fitted, spec_augment
from ..features.vtlp import FrequencyWarp
from ..models.network import Network
from .compose import compose
from .loss import Batch
from .mix import Example
from .run import TrainingRun
from .settings import TrainSettings
from .stream import AUGMENT, SPEED, seed_for


class Preparer:
    """Makes batches of a run; each process draws its own augmentation, decided by seed, step and rank."""

    def __init__(self, run: TrainingRun, settings: TrainSettings, model: Network, rank: int) -> None:
        self.run, self.settings, self.rank, self.model = run, settings, rank, model
        config = model.config
        self.features = extractor(config.front_end).to(run.bank.device)
        self.masks = None if settings.spec_augment is None else fitted(settings.spec_augment, config.front_end)
        self.warp = None
        if settings.augment is not None and settings.augment.warp_chance > 0:
            self.warp = FrequencyWarp(settings.augment, config.front_end, run.bank.device)
        self.random = torch.Generator(device=run.bank.device)
        self.sample_rate: int = config.front_end.sample_rate  # Hz
        self.most = None if math.isinf(config.max_seconds) else int(config.max_seconds * self.sample_rate)  # samples

    @torch.no_grad()
    def __call__(self, examples: list[Example], step: int, total: int) -> Batch:
        """`examples` of the bank at `step` of `total`."""
        run, settings = self.run, self.settings
        self.random.manual_seed(seed_for(AUGMENT, settings.seed, step, self.rank))
        if settings.mix is None or not settings.mix.on:
            joints = None
            audio, lengths = run.bank.gather([row for example in examples for row in example.clips])
        else:
            audio, lengths, joints = self._composed(examples, step)
        if settings.augment is not None:
            audio, lengths = augment(
                audio, lengths, settings.augment, self.random, run.noise, self.sample_rate, speed=joints is None
            )
        if self.most is not None and audio.shape[1] > self.most:
            # Slowed down past the audio context: the end is cut rather than refused.
            audio, lengths = audio[:, : self.most], lengths.clamp_max(self.most)
        features, frames = self.features(audio, lengths, input_mask=self.model.input_mask)
        if self.warp is not None:
            features = self.warp(features, self.random)
        if self.masks is not None and step >= settings.spec_augment_start * total:
            features = spec_augment(features, frames, self.masks, self.random)
        return Batch(examples, len(run.mix.training), audio, lengths, features, frames, step, joints, total)

    def _composed(self, examples: list[Example], step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Clips played at their speeds, then joined; every length is known on this side."""
        run, settings = self.run, self.settings
        rows = [row for example in examples for row in example.clips]
        if rows:
            samples = run.bank.samples_of(rows)
            audio, lengths = run.bank.gather(rows)
        else:
            samples, audio = [], torch.zeros(0, 1, device=run.bank.device)
        speeds = (1.0,) if settings.augment is None else settings.augment.speeds
        if rows and set(speeds) != {1.0}:
            draws = np.random.default_rng(seed_for(SPEED, settings.seed, step, self.rank))
            choice = draws.integers(len(speeds), size=len(rows)).tolist()
            drawn = torch.tensor(choice, device=run.bank.device)
            audio, _ = change_speed(audio, lengths, speeds, drawn)
            samples = played_lengths(samples, speeds, choice)
        return compose(examples, audio, samples, self.sample_rate, self.random, run.nonspeech)
