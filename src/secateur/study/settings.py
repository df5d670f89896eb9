"""A study is one TOML file: data, model, arms, seeds. Paths of manifests are relative to the data folder.

model = "tiny.en"
learn = ["speechocean762/train.jsonl"]
retain = ["librispeech-mini/train.jsonl"]
dev = ["speechocean762/dev.jsonl"]
[tests]                       # the first is in domain, the others say what is retained
speechocean762 = "speechocean762/test.jsonl"
[train]                       # what all arms share
epochs = 8
[arms.original]
zero_shot = true
[arms.dense]                  # the control
[arms.sparse]
targets = [0.3, 0.5]          # becomes the arms sparse-30 and sparse-50
[arms.sparse.prune]
method = "sparse"
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..base.errors import SecateurError, nearest
from ..base.options import from_dict, read_toml, to_dict
from ..families.ctc.new_settings import NewModel
from ..prune.methods import check_settings
from ..prune.settings import PruneSettings
from ..text.normalise import Scheme
from ..train.settings import TrainSettings
from .arm import ArmSettings
from .conditions import Condition
from .lm import StudyLm


@dataclass(frozen=True)
class StudyArm:
    """One arm as the file says it; `train` and `prune` override what all arms share."""

    train: dict[str, Any] = field(default_factory=dict)
    prune: dict[str, Any] | None = None
    zero_shot: bool = False  # the model as it is
    teacher: str = ""  # "original", an arm that is run before this one, or a checkpoint's folder (a/path)
    start: str = ""  # an arm that is run before this one, and whose result of the same seed is trained on
    control: str | None = None  # the arm to compare with, when it is not the study's
    learn: tuple[str, ...] = ()  # manifests, when not the study's: other transcripts of the same audio, more audio
    hours: float | None = None  # of audio to learn from, when it is not the study's
    model: str | None = None  # when it is not the study's
    new: dict[str, Any] = field(default_factory=dict)  # what differs from the study's new model
    targets: tuple[float, ...] = ()  # shares to remove: one arm each
    seeds: tuple[int, ...] | None = None
    about: str = ""  # a word for the table


@dataclass(frozen=True)
class StudySettings:
    """The TOML file."""

    learn: tuple[str, ...]
    dev: tuple[str, ...]
    tests: dict[str, str]
    model: str = ""
    new: NewModel = NewModel()  # a CTC model from nothing instead; the seed also draws its weights
    name: str = "study"
    retain: tuple[str, ...] = ()
    retain_share: float = 0.5
    hours: float | None = None  # of audio to learn from, whole speakers; None is all
    longest: float = 20.0  # seconds: longer clips are left out of training
    seeds: tuple[int, ...] = (0,)
    control: str = "dense"
    normalise: Scheme | None = None  # how texts are compared; see `text.normalise`
    train: dict[str, Any] = field(default_factory=dict)
    prune: dict[str, Any] = field(default_factory=dict)
    arms: dict[str, StudyArm] = field(default_factory=dict)
    conditions: dict[str, Condition] = field(default_factory=dict)  # disturbances to test under
    lm: StudyLm = StudyLm()  # arms of CTC models that are also read with a language model
    nonspeech: tuple[str, ...] = ()  # manifests of recordings without speech, to train silence on (train.mix)
    robust: tuple[str, ...] = ()  # the arms that are tested under them

    @property
    def domain(self) -> str:
        """The test set that arms are compared on first; the others say what is retained."""
        return next(iter(self.tests))

    @property
    def heard(self) -> list[str]:
        """Every manifest that any arm is trained on."""
        own = (name for arm in self.arms.values() for name in arm.learn)
        return list(dict.fromkeys([*self.learn, *own, *self.retain]))

    def control_of(self, arm: str) -> str:
        """The arm that `arm` is compared with."""
        return self.arms[arm].control or self.control

    def seeds_of(self, arm: str) -> tuple[int, ...]:
        """The seeds of `arm`; a model that is not trained has one."""
        seeds = self.arms[arm].seeds or self.seeds
        return seeds[:1] if self.arms[arm].zero_shot else seeds


def read_study(path: Path) -> StudySettings:
    """The study in a TOML file, arms with targets spelled out, everything checked.

    Raises:
        SecateurError: a key that nothing knows (with the nearest), a wrong type, a control or teacher that is no arm.
    """
    study = from_dict(StudySettings, read_toml(path), str(path))
    study = replace(study, arms=_spelled_out(study.arms))
    for name, arm in study.arms.items():
        arm_settings(study, name, 0, str(path))
        for role, other in (("control", arm.control), ("teacher", arm.teacher), ("start", arm.start)):
            known = {*study.arms, "original"} if role == "teacher" else set(study.arms)
            if other and other not in known and not (role == "teacher" and "/" in other):
                raise SecateurError(f"{path}: arms.{name}: no arm '{other}' for a {role}{nearest(other, study.arms)}")
        if not (arm.start or arm.model or study.model) and not new_of(study, name).preset:
            raise SecateurError(f"{path}: arms.{name}: no model to start from: set model, or preset in [new]")
    _check_order(study, str(path))
    for name in (study.control, *study.robust, *study.lm.arms):
        if name not in study.arms:
            raise SecateurError(f"{path}: no arm '{name}'{nearest(name, study.arms)}")
    return study


def new_of(study: StudySettings, name: str) -> NewModel:
    """The new model that an arm starts from, if it does."""
    arm = study.arms[name]
    return from_dict(NewModel, to_dict(study.new) | arm.new, f"study: arms.{name}.new")


def shortest_context(study: StudySettings) -> float:
    """Seconds of the shortest audio context of any arm: all arms meet the same joined examples."""
    settings = [arm_settings(study, name, 0).prune for name in study.arms]
    return min((s.audio_seconds for s in settings if s is not None and s.audio_seconds), default=math.inf)


def waits_for(study: StudySettings, name: str) -> set[str]:
    """The arms whose results an arm needs."""
    return {study.arms[name].teacher, study.arms[name].start} & set(study.arms)


def _check_order(study: StudySettings, where: str) -> None:
    """Refuse arms that wait for each other."""
    done: set[str] = set()
    while len(done) < len(study.arms):
        ready = {name for name in study.arms if name not in done and waits_for(study, name) <= done}
        if not ready:
            raise SecateurError(f"{where}: arms wait for each other: {', '.join(sorted(set(study.arms) - done))}")
        done |= ready


def _spelled_out(arms: Mapping[str, StudyArm]) -> dict[str, StudyArm]:
    """Arms with `targets` become one arm a target."""
    found: dict[str, StudyArm] = {}
    for name, arm in arms.items():
        if not arm.targets:
            found[name] = arm
        for target in arm.targets:
            pruned = (arm.prune or {}) | {"remove": target}
            found[f"{name}-{100 * target:g}"] = replace(arm, prune=pruned, targets=())
    return found


def arm_settings(study: StudySettings, name: str, seed: int, where: str = "study") -> ArmSettings:
    """One arm: the shared settings, overridden by its own."""
    arm = study.arms[name]
    train = None
    if not arm.zero_shot:
        given = from_dict(TrainSettings, study.train | arm.train, f"{where}: arms.{name}.train")
        pretrained = bool(arm.start or arm.model or not new_of(study, name).preset)
        train = replace(given.resolved(pretrained=pretrained, teacher=bool(arm.teacher)), seed=seed)
    prune = None
    if arm.prune is not None:
        prune = from_dict(PruneSettings, study.prune | arm.prune, f"{where}: arms.{name}.prune")
        prune = replace(prune, seed=seed)
        check_settings(prune)
    return ArmSettings(name, train, prune)
