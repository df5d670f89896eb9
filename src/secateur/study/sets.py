"""The data of a study, and the refusal to compare on speakers that were trained or chosen on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..base.errors import SecateurError
from ..base.files import Json
from ..base.progress import say
from ..data.manifest import Utterance, read_manifest
from ..data.split import shared_texts, without_texts_of
from .record import DEFAULTS, defaults_of, record_of
from .sets_of_job import read_all
from .settings import StudySettings, arm_settings, new_of


def read_sets(names: Sequence[str], folder: Path) -> list[Utterance]:
    """The clips of several manifests under the data folder."""
    return read_all([folder / name for name in names])


def check_sets(study: StudySettings, folder: Path) -> None:
    """Refuse shared speakers between training (what any arm learns from), dev and test; warn of shared texts.

    Raises:
        SecateurError: a speaker of dev is also in a test or training set, or one of a test in a training set.
    """
    train = read_sets(study.training_manifests, folder)
    dev = read_sets(study.dev, folder)
    tests = {name: read_manifest(folder / path) for name, path in study.tests.items()}
    parts = {"train": train, "dev": dev, **{f"test '{name}'": clips for name, clips in tests.items()}}
    speakers = {name: {u.speaker for u in clips} - {""} for name, clips in parts.items()}
    names = list(parts)
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            both = sorted(speakers[first] & speakers[second])
            if both and not (first.startswith("test") and second.startswith("test")):
                raise SecateurError(
                    f"{first} and {second} share {len(both)} speakers ({', '.join(both[:3])}): an error rate on them "
                    "says nothing of new speakers; split by speaker (`secateur data split`)"
                )
    for (first, second), count in shared_texts(parts).items():
        say(f"warning: {first} and {second} share {count} texts; those in training sets are left out of the tests")


def some_hours(utterances: Sequence[Utterance], hours: float | None, seed: int) -> list[Utterance]:
    """Whole speakers in a drawn order until `hours` of audio are there; the last one is cut to fit."""
    if hours is None:
        return list(utterances)
    speakers = sorted({u.speaker for u in utterances})
    chosen: list[Utterance] = []
    left = hours * 3600
    for number in np.random.default_rng(seed).permutation(len(speakers)):
        for u in utterances:
            if u.speaker == speakers[number] and u.duration <= left:
                chosen.append(u)
                left -= u.duration
        if left < 1:
            break
    return chosen


def unseen_tests(study: StudySettings, folder: Path) -> dict[str, list[Utterance]]:
    """The test sets without texts that are trained on (by any arm): all arms are tested on the same clips."""
    train = read_sets(study.training_manifests, folder)
    return {name: without_texts_of(read_manifest(folder / path), train) for name, path in study.tests.items()}


def arm_record(study: StudySettings, name: str, seed: int, folder: Path) -> Json:
    """What is on record of one run: its settings, what it starts from, and the manifests it reads.

    Raises:
        SecateurError: a manifest is not there.
    """
    arm = study.arms[name]
    manifests = [*(arm.train or study.train), *study.rehearsal, *study.dev, *study.tests.values(), *study.nonspeech]
    model = arm.model or study.model
    start: Json = {
        "start": arm.start, "teacher": arm.teacher, "model": model, "new": new_of(study, name) if not model else None,
        "hours": arm.hours if arm.hours is not None else study.hours, "longest": study.longest,
        "rehearsal_share": study.rehearsal_share, "normalise": study.normalise,
        "soup": arm.soup, "soup_kind": arm.soup_kind,
    }  # fmt: skip
    settings = {**start, **vars(arm_settings(study, name, seed))}
    record = record_of("arm", settings, [folder / one for one in manifests], model)
    record[DEFAULTS] = {k: v for k, v in defaults_of(arm).items() if k in start} | record[DEFAULTS]
    return record
