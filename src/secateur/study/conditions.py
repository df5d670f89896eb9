"""Disturbed copies of a test set: noise at an SNR, a room, a telephone line; the same for every arm and seed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..audio.effects import add_noise, reverberate, telephone
from ..base.errors import SecateurError
from ..base.options import Settings, option
from ..data.bank import AudioBank, Samples, cached_clips
from ..data.clip import read_clip
from ..data.manifest import read_manifest


@dataclass(frozen=True)
class Condition(Settings):
    """One disturbance. Noise must not be what training mixed in: name files that are held out."""

    noise: str | None = option(
        None, "Mix in recordings from this manifest, relative to the data folder; they must not be in training."
    )
    split: str | None = option(None, "Take only the recordings whose `split` is this.")
    snr_db: float = option(10.0, "Mix noise in at this signal-to-noise ratio.", unit="dB")
    rt60: float | None = option(None, "Add reverberation that falls by 60 dB in this time.", unit="s", above=0, most=5)
    direct_db: float = option(3.0, "Set the direct sound's level over the reverberation's.", unit="dB")
    telephone: bool = option(False, "Pass audio through a telephone band (300 to 3400 Hz).")


def disturbed(bank: AudioBank, condition: Condition, data_folder: Path, sample_rate: int, seed: int = 0) -> AudioBank:
    """A copy of `bank`, every clip disturbed by itself; the seed decides which piece of noise and room it meets.

    With `SECATEUR_BANKS` naming a folder, the runs of a study share the copies that the first of them made; a copy's
    name changes with its clips, the condition and the noise that is mixed in.

    Raises:
        SecateurError: no noise in the manifest.
    """
    key = hashlib.sha256(repr((condition, sample_rate, seed, bank.digest)).encode())
    sounds = None if condition.noise is None else _noises(data_folder / condition.noise, condition.split, sample_rate)
    for sound in sounds or ():
        key.update(sound.numpy().tobytes())
    name = f"disturbed-{key.hexdigest()[:24]}"
    return AudioBank(cached_clips(name, lambda: _disturb(bank, condition, sounds, sample_rate, seed)), bank.device)


def _disturb(
    bank: AudioBank, condition: Condition, sounds: Sequence[Tensor] | None, rate: int, seed: int
) -> list[Samples]:
    random = torch.Generator().manual_seed(seed)
    clips = []
    for row in range(len(bank)):
        audio, lengths = bank.gather([row])
        if condition.rt60 is not None:
            tail = torch.randn(1, int(condition.rt60 * rate), generator=random).to(audio.device)
            times, direct = audio.new_tensor([condition.rt60]), audio.new_tensor([condition.direct_db])
            audio = reverberate(audio, lengths, times, direct, tail, rate)
        if sounds is not None:
            piece = _piece(sounds, audio.shape[1], random).to(audio.device)
            audio = add_noise(audio, lengths, piece[None], audio.new_tensor([condition.snr_db]))
        if condition.telephone:
            audio = telephone(audio, lengths, rate)
        audio = audio / audio.abs().max().clamp_min(1.0)
        clips.append(audio[0].cpu().numpy())
    return clips


def _noises(manifest: Path, split: str | None, sample_rate: int) -> list[Tensor]:
    entries = [u for u in read_manifest(manifest) if split is None or u.extras.get("split") == split]
    if not entries:
        raise SecateurError(f"{manifest}: no noise recording" + (f" of the split '{split}'" if split else ""))
    return [torch.from_numpy(read_clip(u, sample_rate)) for u in entries]


def _piece(sounds: Sequence[Tensor], samples: int, random: torch.Generator) -> Tensor:
    """`samples` of one of the sounds, from anywhere in it, round its end when it is too short."""
    sound = sounds[int(torch.randint(len(sounds), (), generator=random))]
    start = int(torch.randint(len(sound), (), generator=random))
    return sound[(start + torch.arange(samples)) % len(sound)]
