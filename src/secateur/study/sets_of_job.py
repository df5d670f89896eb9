"""The sets of a job from manifests: split by speaker when only one is given, long clips left out, prompts unseen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ..audio.arrays import is_silent
from ..audio.augment import NoiseBank
from ..base.device import pick_device
from ..base.errors import SecateurError, several
from ..base.progress import say
from ..data.clip import read_clip
from ..data.clip_index import ClipIndex
from ..data.demo import demo_speech
from ..data.job import JobData
from ..data.manifest import Utterance, limit, read_manifest
from ..data.split import plain, split_by_speaker, without_texts_of


@dataclass(frozen=True)
class JobManifests:
    """The manifests that a job names, recordings of noise to train with, and the longest clip to train on (seconds)."""

    training: Sequence[Path]
    dev: Sequence[Path]
    test: Sequence[Path]
    rehearsal: Sequence[Path]
    noise: Sequence[Path]
    longest: float


def read_all(manifests: Sequence[Path]) -> list[Utterance]:
    """The clips of several manifests."""
    return [u for path in several("read_all", manifests) for u in read_manifest(path)]


def read_job(files: JobManifests, device: str, same_speakers: bool = False) -> JobData:
    """The sets of a job from its manifests; see `job_data`."""
    training, dev, test, rehearsal = map(read_all, (files.training, files.dev, files.test, files.rehearsal))
    where = pick_device(device)
    return job_data(training, dev, test, rehearsal, files.longest, where, files.noise, same_speakers)


def read_streamed(files: JobManifests, device: str, window: int) -> JobData:
    """The same for training sets that do not fit in memory: of each clip only its position is in memory (`ClipIndex`).

    Raises:
        SecateurError: no dev or test set of their own, a window below 1, or nothing left to train or to test on.
    """
    if not files.dev or not files.test:
        raise SecateurError("--stream needs --dev and --test: speakers cannot be split off what is not in memory")
    if window < 1:
        raise SecateurError(f"--window must be at least 1 clip, found {window}")
    tests = read_all(files.test)
    test_texts, trained = {plain(u.text) for u in tests} - {""}, set[str]()
    languages: set[str] = set()

    def on_clip(u: Utterance) -> None:
        languages.add(u.language)
        text = plain(u.text)
        if text in test_texts:
            trained.add(text)

    clips = ClipIndex(files.training, files.longest, on_clip)
    if not len(clips):
        raise SecateurError("nothing to train on: every clip is longer than --longest")
    say(f"{len(clips)} clips to train on, {clips.dropped} longer than {files.longest:g} s are left out")
    rehearsal_clips = [u for u in read_all(files.rehearsal) if u.duration <= files.longest]
    trained |= {plain(u.text) for u in rehearsal_clips} & test_texts
    unseen = _some_left([u for u in tests if plain(u.text) not in trained], tests)
    where = pick_device(device)
    return JobData(
        training=clips, dev=read_all(files.dev), tests={"test": unseen}, rehearsal=rehearsal_clips, device=where,
        noise=_noise(files.noise, where), window=window, languages=tuple(sorted(languages)),
    )  # fmt: skip


def job_data(
    training: Sequence[Utterance], dev: Sequence[Utterance], test: Sequence[Utterance],
    rehearsal: Sequence[Utterance], longest: float, device: torch.device, noise: Sequence[Path] = (),
    same_speakers: bool = False,
) -> JobData:  # fmt: skip
    """Ready sets: without dev or test, they are split off `training` by speaker; training texts leave the tests.

    For a model of `same_speakers` they are split off by clip.

    Raises:
        SecateurError: nothing left to train on, or too few speakers to split.
    """
    train, development, tests = list(training), list(dev), list(test)
    if not development or not tests:
        missing = {"dev": 0.1} if tests else {"test": 0.15} if development else {"dev": 0.1, "test": 0.15}
        speakers = {u.speaker for u in train}
        if not same_speakers and ("" in speakers or len(speakers) <= len(missing)):
            count = f"name {len(speakers)}" if "" not in speakers else "do not all name one"
            raise SecateurError(
                f"{' and '.join(missing)} cannot be split off by speaker, the clips {count}: --same-speakers splits by "
                "clip, for a model of these people alone; else name --dev and --test, or speakers (`secateur data "
                "prepare --speaker-from`)"
            )
        shares = {"train": 1 - sum(missing.values()), **missing}
        parts = split_by_speaker(train, shares, by="id" if same_speakers else "speaker")
        train = parts["train"]
        development, tests = parts.get("dev", development), parts.get("test", tests)
        what = "clip" if same_speakers else "speaker"
        say(f"split by {what}: {len(train)} clips to train on, {len(development)} dev, {len(tests)} test")
    train_kept, rehearsal_kept = ([u for u in clips if u.duration <= longest] for clips in (train, rehearsal))
    dropped = len(train) + len(rehearsal) - len(train_kept) - len(rehearsal_kept)
    if dropped:
        say(f"{dropped} clips longer than {longest:g} s are left out of training")
    if not train_kept:
        raise SecateurError("nothing to train on: every clip is longer than --longest")
    unseen = _some_left(without_texts_of(tests, [*train_kept, *rehearsal_kept]), tests)
    return JobData(
        training=train_kept, dev=development, tests={"test": unseen}, rehearsal=rehearsal_kept, device=device,
        noise=_noise(noise, device),
    )  # fmt: skip


def _some_left(unseen: list[Utterance], tests: Sequence[Utterance]) -> list[Utterance]:
    """The test clips whose texts are not trained on; how many are not is said.

    Raises:
        SecateurError: none is left.
    """
    if len(unseen) < len(tests):
        say(f"{len(tests) - len(unseen)} test clips whose text is trained on are left out")
    if not unseen:
        raise SecateurError("no test clip is left: all their texts are in the training set")
    return unseen


def _noise(files: Sequence[Path], device: torch.device) -> NoiseBank | None:
    """The bank of recordings and of those that manifests list."""
    recordings = [
        audio
        for path in files
        for audio in ([u.audio for u in read_manifest(path)] if path.suffix == ".jsonl" else [path])
    ]
    return NoiseBank.read(recordings, 16000, device) if recordings else None


def named_sets(manifests: Sequence[Path]) -> dict[str, list[Utterance]]:
    """Sets by the name of their folder, or of folder and file where two would have one name."""
    sets: dict[str, list[Utterance]] = {}
    for path in manifests:
        path = Path(path).resolve()
        name = path.parent.name if path.parent.name not in sets else f"{path.parent.name}-{path.stem}"
        sets[name] = [u for u in read_manifest(path) if u.labelled]
    return sets


def read_nonspeech(manifests: Sequence[Path], device: torch.device) -> NoiseBank | None:
    """The recordings without speech to train silence on; of a manifest with splits, the training split.

    Raises:
        SecateurError: a manifest with text, or none of whose clips is to train with.
    """
    if not manifests:
        return None
    clips = []
    for path in manifests:
        entries = [u for u in read_manifest(path) if u.extras.get("split", "train") == "train"]
        spoken = next((u.id for u in entries if u.text), None)
        if spoken is not None:
            raise SecateurError(f"{path}: clip '{spoken}' has a text; --nonspeech takes recordings without speech")
        if not entries:
            raise SecateurError(f"{path}: no clip to train with: all have another split")
        clips += [read_clip(u, 16000) for u in entries]
    return NoiseBank([clip for clip in clips if not is_silent(clip, -90.0)], device, 16000)


TEST_CLIPS = 100
DEV_CLIPS = 24
TRAIN_HOURS = 1.0


def demo_data(longest: float, device: str) -> tuple[JobData, list[Path]]:
    """An hour or less to train on, a test set that two cores can decode three times; and the manifests they are from.

    Raises:
        SecateurError: no such device, or no clip of at most `longest` seconds.
    """
    speech = demo_speech()
    say(f"speech: {speech.name}. {speech.note}")
    data = job_data(
        limit(read_manifest(speech.train), hours=TRAIN_HOURS), limit(read_manifest(speech.dev), count=DEV_CLIPS),
        limit(read_manifest(speech.test), count=TEST_CLIPS), [], longest, pick_device(device),
    )  # fmt: skip
    return data, [speech.train, speech.dev, speech.test]
