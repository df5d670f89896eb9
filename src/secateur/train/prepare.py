"""From clips to a batch on the training device: examples are joined and broken by pauses of room tone, with sound
without speech beside them, then augmented and turned into features.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..audio.augment import augment
from ..audio.effects import change_speed, played_lengths
from ..audio.noise_bank import NoiseBank
from ..audio.nonspeech import GENERATORS, coloured, levelled, like, long_term_spectrum
from ..audio.tone import GRAIN
from ..audio.tone_torch import edges, quiet_moment, room_tone
from ..features.front_end import extractor
from ..features.specaugment import fitted, spec_augment
from ..features.vtlp import FrequencyWarp
from ..models.network import Network
from .loss import Batch
from .mix import Example
from .run import TrainingRun
from .settings import TrainSettings
from .stream import AUGMENT, SPEED, seed_for

STEP = 0.02  # s, from one timestamp token to the next


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


def compose(
    examples: Sequence[Example], audio: Tensor, lengths: Sequence[int], rate: int, generator: torch.Generator,
    recorded: NoiseBank | None = None,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """`(audio (examples, samples), lengths (examples,), joints (examples, clips, 2))`.

    `audio` (clips, samples) are the examples' clips in order, `lengths` (samples) on this side, so that nothing waits
    for the device. Joints are where each clip's speech begins and ends in its example, in steps of 20 ms.
    """
    device = audio.device
    owner, column, starts, kept, totals = _layout(examples, lengths, rate)
    width, most = max(totals), max([1, *(len(e.clips) for e in examples)])
    total = torch.tensor(totals, device=device)
    result = torch.zeros(len(examples), width, device=device)
    joints = torch.zeros(len(examples), most, 2, dtype=torch.long, device=device)
    if owner:
        real = torch.tensor(lengths, device=device)
        start, keep = torch.tensor(starts, device=device), torch.tensor(kept, device=device)
        owners = torch.tensor(owner, device=device)
        steps = torch.arange(audio.shape[1], device=device)
        gap, moment = _breaks(examples, audio, real, rate)
        place = steps + gap[:, None] * (steps >= moment[:, None])
        # What is beyond a clip's end goes to one sample past the result, which is thrown away.
        targets = torch.where(steps < keep[:, None], (owners * width + start)[:, None] + place, result.numel())
        flat = torch.zeros(result.numel() + 1, device=device).scatter_(0, targets.flatten(), audio.flatten())
        result = flat[:-1].view_as(result)
        border = edges(audio, real, rate)
        border = border + gap[:, None] * (border > moment[:, None])
        borders = (border + start[:, None]).float() / rate / STEP
        joints[owners, torch.tensor(column, device=device)] = borders.round().long()
        with_pauses = [i for i, e in enumerate(examples) if e.pauses or e.breaks]
        if with_pauses:
            sources = _sources(with_pauses, owner, starts, width, rate)
            tone = room_tone(audio, real, sources.to(device), rate, generator)[:, :width]
            mask = torch.ones(result.numel() + 1, device=device).scatter_(
                0, targets.flatten(), torch.zeros(1, device=device).expand(targets.numel())
            )
            paused = torch.tensor(with_pauses, device=device)
            result[paused] += tone * mask[:-1].view_as(result)[paused]
    for kind in sorted({e.sound for e in examples if e.sound}):
        rows = [i for i, e in enumerate(examples) if e.sound == kind]
        result[rows] = _sound(kind, len(rows), width, rate, generator, audio, lengths, recorded)
    inside = torch.arange(width, device=device) < total[:, None]
    return result * inside, total, joints


def _layout(
    examples: Sequence[Example], lengths: Sequence[int], rate: int
) -> tuple[list[int], list[int], list[int], list[int], list[int]]:
    """Of every clip its example, its place among the example's clips, first sample and samples kept; of every example
    its samples."""
    owner, column, starts, kept, totals = [], [], [], [], []
    clip = 0
    for number, example in enumerate(examples):
        at = 0
        pauses = example.pauses or (0.0,) * (len(example.clips) + 1)
        for position in range(len(example.clips)):
            at += round(pauses[position] * rate)
            partial = example.cut_after is not None and position == len(example.clips) - 1
            keep = min(lengths[clip], round((example.cut_after or 0.0) * rate)) if partial else lengths[clip]
            owner.append(number)
            column.append(position)
            starts.append(at)
            kept.append(keep)
            at += keep + sum(round(b.seconds * rate) for b in example.breaks if b.position == position)
            clip += 1
        at += round(pauses[-1] * rate) if example.cut_after is None else 0
        totals.append(max(1, at if example.clips else round(example.seconds * rate)))
    return owner, column, starts, kept, totals


def _breaks(examples: Sequence[Example], audio: Tensor, lengths: Tensor, rate: int) -> tuple[Tensor, Tensor]:
    """Of every clip (clips,) the samples of pause inside it, 0 for most, and the sample before which it comes."""
    gaps, shares, clip = [0] * len(audio), [(0.0, 1.0)] * len(audio), 0
    for example in examples:
        for one in example.breaks:
            gaps[clip + one.position] = round(one.seconds * rate)
            shares[clip + one.position] = (one.first, one.last)
        clip += len(example.clips)
    gap = torch.tensor(gaps, device=audio.device)
    if not any(gaps):
        return gap, lengths
    return gap, quiet_moment(audio, lengths, rate, torch.tensor(shares, device=audio.device))


def _sources(rows: Sequence[int], owner: Sequence[int], starts: Sequence[int], width: int, rate: int) -> Tensor:
    """The clip that each grain of room tone comes from, (rows, grains): the one before it, at first the first."""
    hop = round(GRAIN * rate) // 2
    grains = -(-width // hop)
    result = torch.zeros(len(rows), grains, dtype=torch.long)
    for line, row in enumerate(rows):
        for clip in (i for i, o in enumerate(owner) if o == row):
            first = 0 if clip == 0 or owner[clip - 1] != row else starts[clip] // hop
            result[line, first:] = clip
    return result


def _sound(
    kind: str, rows: int, samples: int, rate: int, generator: torch.Generator, audio: Tensor, lengths: Sequence[int],
    recorded: NoiseBank | None,
) -> Tensor:  # fmt: skip
    """(rows, samples) of one kind of non-speech at drawn levels."""
    device = audio.device
    if kind == "recorded" and recorded is not None:
        return levelled(recorded.draw(rows, samples, generator).to(device), generator)
    if kind in ("room", "speech-shaped") and len(audio):
        clip = (torch.rand(rows, device=generator.device, generator=generator) * len(audio)).long().to(device)
        if kind == "room":
            grains = -(-samples // (round(GRAIN * rate) // 2))
            tone = room_tone(
                audio, torch.tensor(lengths, device=device), clip[:, None].expand(-1, grains), rate, generator
            )[:, :samples]
            gain = torch.rand(rows, 1, device=generator.device, generator=generator).to(device) * 30 - 6
            tone = tone * torch.pow(10.0, gain / 20)
            return tone / tone.abs().amax(1, keepdim=True).clamp_min(1.0)
        return levelled(like(long_term_spectrum(audio)[clip], samples, generator), generator)
    noise = GENERATORS.get(kind, coloured)(rows, samples, rate, generator, device)
    return noise if kind == "silence" else levelled(noise, generator)
