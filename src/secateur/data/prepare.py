"""From recordings and transcripts to a manifest: measured, cleaned and, where asked for, converted."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
from numpy.typing import NDArray

from ..audio.denoise import SPECTRAL, Gtcrn, denoise
from ..audio.read import SLACK, AudioInfo, audio_info
from ..base.errors import SecateurError, one_line, several
from ..base.files import Json, atomic_path, read_json, write_json, write_text
from ..base.progress import track
from ..base.remote import absolute, is_file, url_of
from ..text.chinese import spoken
from ..text.clean import CleanRules, cleaner
from ..text.languages import base_language, language_tag
from ..text.pinyin import pinyin
from .clip import read_clip
from .fields import FIELDS, check_names
from .manifest import Utterance, write_manifest
from .recording import LeftOut, Recording
from .summary import lower_case

Format = Literal["keep", "flac", "wav", "ogg"]
# libsndfile's names; Opus at level 0.95 has about 20 kbit/s for one channel.
CODING: dict[str, Json] = {
    "flac": {"format": "FLAC", "subtype": "PCM_16"},
    "wav": {"format": "WAV", "subtype": "PCM_16"},
    "ogg": {"format": "OGG", "subtype": "OPUS", "compression_level": 0.95},
}
OVERRUN = 0.5  # s by which a part may end after its recording: subtitles do; what is there is taken
WHOLE = 2e-3  # s; a part that lacks less is the whole recording
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
    keep_empty: bool = False  # clips whose transcript is there and empty are kept: they hold no speech
    lower: bool = False  # texts in lower case


@dataclass(frozen=True)
class Prepared:
    """What went into the manifest, and what did not."""

    utterances: list[Utterance]
    left_out: list[LeftOut]
    list_of_left_out: Path | None = None  # the file that names them

    @property
    def skipped(self) -> list[tuple[str, str]]:
        """What was left out, as (id, reason)."""
        return [(one.id, one.detail or one.reason) for one in self.left_out]


def prepare(
    recordings: Sequence[Recording], manifest: Path, settings: PrepareSettings | None = None, workers: int = 2,
    quiet: bool = False, left_out: Sequence[LeftOut] = (),
) -> Prepared:  # fmt: skip
    """Write `manifest` from `recordings`, converted audio into a folder of the manifest's name beside it.

    What cannot be used (unreadable, without text, too short or long) is left out, and listed in
    `<manifest>.left-out.tsv` together with what `left_out` says was left out before. Converted files that are there
    already are kept, so an interrupted run goes on where it stopped.

    Raises:
        SecateurError: nothing could be used, an id occurs twice, or the folder has files made with other settings.
    """
    settings = settings or PrepareSettings()
    seen: set[str] = set()
    for recording in several("prepare", recordings, "read_set lists its recordings"):
        if recording.id in seen:
            raise SecateurError(f"{recording.audio}: the id '{recording.id}' occurs twice")
        seen.add(recording.id)
    folder = absolute(manifest).with_suffix("")
    language_tag(settings.language)
    if settings.format == "keep" and (settings.sample_rate or settings.denoise):
        raise SecateurError("to resample or denoise, name a format: flac, wav or ogg")
    if settings.format != "keep":
        _claim(folder, settings)
    work = _Work(settings, folder)
    results: list[Utterance | LeftOut] = []
    with ThreadPoolExecutor(max(1, workers)) as pool:
        results += track(pool.map(work, recordings), "preparing", len(recordings), quiet)
    utterances = [r for r in results if isinstance(r, Utterance)]
    out = [*left_out, *(r for r in results if isinstance(r, LeftOut))]
    if not utterances:
        why = f"; {out[0].id}: {out[0].detail or out[0].reason}" if out else ""
        raise SecateurError(f"{manifest}: none of {len(recordings)} recordings can be used{why}")
    if len({r.split for r in recordings}) > 1:
        splits = {r.id: r.split for r in recordings}
        utterances = [replace(u, extras={**u.extras, "split": splits[u.id]}) if splits[u.id] else u for u in utterances]
    write_manifest(manifest, utterances)
    return Prepared(utterances, out, _list(manifest, out))


def _list(manifest: Path, out: Sequence[LeftOut]) -> Path | None:
    """Write the list of what was left out beside the manifest, or remove an older one."""
    path = Path(manifest).with_suffix(".left-out.tsv")
    if not out:
        if url_of(path) is None:
            path.unlink(missing_ok=True)
        return None
    lines = ["id\treason\tdetail", *("\t".join(map(one_line, (o.id, o.reason, o.detail))) for o in out)]
    write_text(path, "\n".join(lines) + "\n")
    return path


class _Work:
    """What is done to one recording; headers are read once, however many parts a recording has."""

    def __init__(self, settings: PrepareSettings, folder: Path) -> None:
        self.settings, self.folder = settings, folder
        self.clean = cleaner(settings.rules) if settings.rules else lambda text: text
        self.denoised = _denoiser(settings.denoise)
        self._headers: dict[Path, AudioInfo] = {}

    def __call__(self, recording: Recording) -> Utterance | LeftOut:
        text = self.clean(recording.text)
        empty = not text and recording.no_speech
        if not text and not (empty and self.settings.keep_empty):
            if empty:
                return LeftOut(recording.id, "an empty text", "no text")
            return LeftOut(recording.id, "no text" if not recording.text.strip() else "no text left after cleaning")
        try:
            language = language_tag(recording.language or self.settings.language)
        except SecateurError as problem:
            return LeftOut(recording.id, "a language that is not known", str(problem))
        if self.settings.lower:
            text = lower_case(text, language)
        try:
            utterance = self._part(replace(recording, text=text, language=language))
            return utterance if isinstance(utterance, LeftOut) else self._converted(utterance)
        except SecateurError as problem:
            return LeftOut(recording.id, _kind(str(problem)), str(problem))

    def _part(self, recording: Recording) -> Utterance | LeftOut:
        """The recording, or a part of it, measured."""
        audio = absolute(recording.audio)
        info = self._headers.get(audio) or audio_info(audio)
        self._headers[audio] = info
        offset, seconds = recording.offset, info.seconds
        if offset is not None:
            end = info.seconds if recording.seconds is None else offset + recording.seconds
            if offset >= info.seconds or end > info.seconds + OVERRUN:
                detail = f"{offset:.2f} to {end:.2f} s of {info.seconds:.2f} s"
                return LeftOut(recording.id, "times after the recording's end", detail)
            seconds = min(end, info.seconds) - offset
            if offset == 0 and abs(seconds - info.seconds) < WHOLE:
                offset, seconds = None, info.seconds
        elif recording.seconds is not None and recording.seconds < info.seconds - SLACK - 0.01 * info.seconds:
            offset, seconds = 0.0, recording.seconds
        channel = recording.channel if info.channels > 1 else None
        if channel is not None and channel >= info.channels:
            return LeftOut(recording.id, "no such channel", f"{channel + 1} of {info.channels}")
        if not self.settings.min_seconds <= seconds <= self.settings.max_seconds:
            kind = "too short" if seconds < self.settings.min_seconds else "too long"
            return LeftOut(recording.id, kind, f"{seconds:.2f} s long")
        extras = usable_names(recording)
        if self.settings.pinyin and base_language(recording.language) == "zh":
            extras["pinyin"] = pinyin(spoken(recording.text))
        return Utterance(
            recording.id, audio, round(seconds, 4), recording.text, recording.speaker, recording.language, extras,
            None if offset is None else round(offset, 6), channel, not recording.text,
        )  # fmt: skip

    def _converted(self, u: Utterance) -> Utterance:
        """The utterance with a file of its own, where one is asked for."""
        if self.settings.format == "keep":
            return u
        audio = self.folder / f"{file_name(u.id)}.{self.settings.format}"
        if not is_file(audio):
            _convert(u, audio, self.settings, self.denoised)
        return replace(u, audio=audio, duration=audio_info(audio).seconds, offset=None, channel=None)


def _kind(problem: str) -> str:
    """What an error of reading audio is counted as."""
    return "no such audio file" if problem.endswith("no such file") else "audio that cannot be read"


def usable_names(recording: Recording) -> Json:
    """Extras under names that the manifest's reader accepts: what looks like a field that is absent gets a prefix."""
    present = {"id", "audio", "duration", "language"} | {"text"} | ({"speaker"} if recording.speaker else set())
    usable_extras = {}
    for name, value in recording.extras.items():
        fields = dict.fromkeys(present, "") | {name: value}
        try:
            check_names(fields, "")
            usable = name not in FIELDS
        except SecateurError:
            usable = False
        usable_extras[name if usable else f"extra_{name}"] = value
    return usable_extras


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


def _convert(u: Utterance, target: Path, settings: PrepareSettings, denoised: Denoise | None) -> None:
    rate = settings.sample_rate or audio_info(u.audio).sample_rate
    if settings.format == "ogg":  # Opus knows five rates
        rate = next((known for known in OPUS_RATES if known >= rate), OPUS_RATES[-1])
    samples = read_clip(u, rate)
    if denoised is not None:
        samples = denoised(samples, rate)
    with atomic_path(target) as temporary:
        soundfile.write(temporary, samples, rate, **CODING[settings.format])


def file_name(name: str) -> str:
    """An id as the name of a file, on every system; different ids have different names."""
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".")[:100]
    return safe if safe == name else f"{safe}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _claim(folder: Path, settings: PrepareSettings) -> None:
    """Record the settings that the files of `folder` are made with, or compare them with those recorded."""
    record = folder / "settings.json"
    ours = {"format": settings.format, "sample_rate": settings.sample_rate, "denoise": settings.denoise}
    if not is_file(record):
        write_json(record, ours)
    elif read_json(record) != ours:
        theirs = ", ".join(f"{key} {value}" for key, value in read_json(record).items())
        raise SecateurError(f"{folder}: holds files made with {theirs}: remove it, or name another manifest")
