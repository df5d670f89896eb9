"""From recordings and transcripts to a manifest: measured, cleaned and, where asked for, converted."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import soundfile
from numpy.typing import NDArray

from ..audio.denoise import SPECTRAL, denoise
from ..audio.gtcrn import Gtcrn
from ..audio.read import audio_info, read_audio
from ..base.errors import SecateurError
from ..base.files import atomic_path, read_json, write_json
from ..base.progress import track
from ..text.chinese import spoken
from ..text.clean import CleanRules, cleaner
from ..text.normalise import base_language
from ..text.pinyin import pinyin
from .manifest import Utterance, write_manifest
from .recording import Recording

Format = Literal["keep", "flac", "wav", "ogg"]
# libsndfile's names; Opus at level 0.95 has about 20 kbit/s for one channel.
CODING: dict[str, dict[str, Any]] = {
    "flac": {"format": "FLAC", "subtype": "PCM_16"},
    "wav": {"format": "WAV", "subtype": "PCM_16"},
    "ogg": {"format": "OGG", "subtype": "OPUS", "compression_level": 0.95},
}
OPUS_RATES = (8000, 12000, 16000, 24000, 48000)  # Hz


@dataclass(frozen=True)
class PrepareSettings:
    """What happens to every recording. With format "keep" audio files stay where and as they are."""

    format: Format = "keep"
    sample_rate: int | None = None  # Hz; None keeps each file's own
    denoise: str | None = None  # "spectral", or the file of a GTCRN model; see `audio.denoise`
    rules: CleanRules | None = field(default_factory=CleanRules)  # None keeps texts as they are
    language: str = "en"  # where the recordings do not say
    min_seconds: float = 0.1
    max_seconds: float = 60.0
    pinyin: bool = False  # Chinese clips get the extra "pinyin"


@dataclass(frozen=True)
class Prepared:
    """What went into the manifest, and what did not: (id, reason)."""

    utterances: list[Utterance]
    skipped: list[tuple[str, str]]


def prepare(
    recordings: Sequence[Recording], manifest: Path, settings: PrepareSettings | None = None, workers: int = 2,
    quiet: bool = False,
) -> Prepared:  # fmt: skip
    """Write `manifest` from `recordings`, converted audio into a folder of the manifest's name beside it.

    What cannot be used (unreadable, without text, too short or long) is left out and reported. Converted files that are
    there already are kept, so an interrupted run goes on where it stopped.

    Raises:
        SecateurError: nothing could be used, an id occurs twice, or the folder has files made with other settings.
    """
    settings = settings or PrepareSettings()
    seen: set[str] = set()
    for recording in recordings:
        if recording.id in seen:
            raise SecateurError(f"{recording.audio}: the id '{recording.id}' occurs twice")
        seen.add(recording.id)
    folder = Path(manifest).resolve().with_suffix("")
    clean = cleaner(settings.rules) if settings.rules else lambda text: text
    if settings.format == "keep" and (settings.sample_rate or settings.denoise):
        raise SecateurError("to resample or denoise, name a format: flac, wav or ogg")
    if settings.format != "keep":
        _claim(folder, settings)
    denoised = _denoiser(settings.denoise)

    def one(recording: Recording) -> Utterance | tuple[str, str]:
        text = clean(recording.text)
        if not text:
            return recording.id, "no text" if not recording.text.strip() else "no text left after cleaning"
        try:
            utterance = _measured(replace(recording, text=text), settings, folder, denoised)
        except SecateurError as problem:
            return recording.id, str(problem)
        if not settings.min_seconds <= utterance.duration <= settings.max_seconds:
            return recording.id, f"{utterance.duration:.2f} s long"
        return utterance

    results: list[Utterance | tuple[str, str]] = []
    with ThreadPoolExecutor(max(1, workers)) as pool:
        results += track(pool.map(one, recordings), "preparing", len(recordings), quiet)
    done = Prepared([r for r in results if isinstance(r, Utterance)], [r for r in results if isinstance(r, tuple)])
    if not done.utterances:
        why = f"; {done.skipped[0][0]}: {done.skipped[0][1]}" if done.skipped else ""
        raise SecateurError(f"{manifest}: none of {len(recordings)} recordings can be used{why}")
    write_manifest(manifest, done.utterances)
    return done


Denoise = Callable[[NDArray[np.float32], int], NDArray[np.float32]]


def _denoiser(method: str | None) -> Denoise | None:
    """What `--denoise` names; a network is loaded once for all clips."""
    if method is None:
        return None
    if method == SPECTRAL:
        return partial(denoise, method=method)
    if not Path(method).is_file():
        raise SecateurError(f"{method}: neither the method '{SPECTRAL}' nor the file of a GTCRN model (.onnx)")
    return Gtcrn(method)


def _measured(recording: Recording, settings: PrepareSettings, folder: Path, denoised: Denoise | None) -> Utterance:
    """The recording as an utterance, converted first where asked for."""
    audio = recording.audio.resolve()
    if settings.format != "keep":
        audio = folder / f"{file_name(recording.id)}.{settings.format}"
        if not audio.exists():
            _convert(recording.audio, audio, settings, denoised)
    seconds = audio_info(audio).seconds
    language = recording.language or settings.language
    extras = dict(recording.extras)
    if settings.pinyin and base_language(language) == "zh":
        extras["pinyin"] = pinyin(spoken(recording.text))
    return Utterance(recording.id, audio, seconds, recording.text, recording.speaker, language, extras)


def _convert(source: Path, target: Path, settings: PrepareSettings, denoised: Denoise | None) -> None:
    rate = settings.sample_rate or audio_info(source).sample_rate
    if settings.format == "ogg":  # Opus knows five rates
        rate = next((known for known in OPUS_RATES if known >= rate), OPUS_RATES[-1])
    samples = read_audio(source, rate)
    if denoised is not None:
        samples = denoised(samples, rate)
    with atomic_path(target) as temporary:
        soundfile.write(temporary, samples, rate, **CODING[settings.format])


def file_name(name: str) -> str:
    """An id as the name of a file, on every system; different ids have different names."""
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".")[:100]
    return safe if safe == name else f"{safe}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _claim(folder: Path, settings: PrepareSettings) -> None:
    """Note the settings that the files of `folder` are made with, or hold them against those noted."""
    noted = folder / "settings.json"
    ours = {"format": settings.format, "sample_rate": settings.sample_rate, "denoise": settings.denoise}
    if not noted.exists():
        write_json(noted, ours)
    elif read_json(noted) != ours:
        theirs = ", ".join(f"{key} {value}" for key, value in read_json(noted).items())
        raise SecateurError(f"{folder}: holds files made with {theirs}: remove it, or name another manifest")
