"""A study is one TOML file: data, model, arms, seeds. Paths of manifests are relative to the data folder.

model = "tiny.en"
train = ["speechocean762/train.jsonl"]
rehearsal = ["librispeech-mini/train.jsonl"]
dev = ["speechocean762/dev.jsonl"]
[tests]                       # the first is in domain, the others say what is not forgotten
speechocean762 = "speechocean762/test.jsonl"
[training]                    # what all arms share
epochs = 8
[arms.original]
zero_shot = true
[arms.dense]                  # the control
[arms.soup]
soup = ["dense:0,1,2"]        # the mean of their weights
[arms.sparse]
targets = [0.3, 0.5]          # becomes the arms sparse-30 and sparse-50
[arms.sparse.prune]
method = "sparse"
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..base.errors import SecateurError, nearest
from ..base.files import read_toml
from ..base.options import Settings, from_dict, option, to_dict
from ..families.ctc.new_settings import NewModel
from ..models.checkpoint import untrained
from ..prune.method import METHODS, check_settings
from ..prune.settings import BY_METHOD, PruneSettings
from ..text.normalise import Scheme
from ..train.settings import TrainSettings, longest_option
from .arm import ArmSettings
from .conditions import Condition
from .lm import StudyLm
from .soup import SoupKind
from .use import StudyUse


@dataclass(frozen=True)
class StudyArm(Settings):
    """One arm as the file says it; `training` and `prune` override what all arms share."""

    training: dict[str, Any] = option(factory=dict, help="Train this arm with these settings.", was=("train",))
    prune: dict[str, Any] | None = option(None, "Prune this arm with these settings; left out: not at all.")
    zero_shot: bool = option(False, "Test the model as it is, without training.")
    teacher: str = option(
        "", "Distil from `original`, an arm that is run before this one (a, or a:0 for its seed), or a folder (a/path)."
    )
    start: str = option(
        "", "Start from the result of an arm that is run before this one, of the same seed, or of a named one (a:0)."
    )
    soup: tuple[str, ...] = option(
        (), "Average the weights of these runs instead of training: an arm's seeds (a:0,1,2), or folders (a/path)."
    )
    soup_kind: SoupKind = option(
        "greedy", "Take those runs that lower the error on dev, the best first, or all of them."
    )
    control: str | None = option(None, "Compare with this arm, when it is not the study's control.")
    train: tuple[str, ...] = option(
        (),
        "Train on these manifests instead of the study's: other transcripts of the same audio, more audio.",
        was=("learn",),
    )
    hours: float | None = option(None, "Train on this much audio instead of the study's.", unit="h", above=0)
    model: str | None = option(None, "Start from this model instead of the study's.")
    new: dict[str, Any] = option(factory=dict, help="Build the new model with these differences from the study's.")
    targets: tuple[float, ...] = option((), "Remove these shares, in an arm each.", unit="share", least=0, below=1)
    seeds: tuple[int, ...] | None = option(None, "Run these seeds instead of the study's.")
    about: str = option("", "Show this word in the table.")

    def __post_init__(self) -> None:
        super().__post_init__()
        others = ("training", "prune", "teacher", "start", "model", "new", "zero_shot", "train", "hours", "targets")
        also = [name for name in others if self.soup and getattr(self, name)]
        if also:
            raise SecateurError(f"a soup is not trained: leave out {', '.join(also)}, or start another arm from it")

    @property
    def untrained(self) -> bool:
        """Whether nothing is trained: every seed would give the same."""
        return self.zero_shot or bool(self.soup)


@dataclass(frozen=True)
class StudySettings(Settings):
    """The TOML file."""

    train: tuple[str, ...] = option(help="Train on these manifests, relative to the data folder.", was=("learn",))
    dev: tuple[str, ...] = option(help="Choose on these manifests.")
    tests: dict[str, str] = option(help="Report on these manifests; the first is the domain that arms are compared on.")
    model: str = option("", "Start from this model: a name, folder or file.")
    new: NewModel = option(NewModel(), "Build a new CTC model instead; the seed also draws its weights.")
    name: str = option("study", "Call the study this.")
    rehearsal: tuple[str, ...] = option(
        (), "Also train on these manifests, so that what they hold is not forgotten.", was=("retain",)
    )
    rehearsal_share: float = option(
        0.5, "Fill this share of an epoch's audio with the rehearsal set.", unit="share", least=0, below=1,
        was=("retain_share",),
    )  # fmt: skip
    rehearsal_dev: tuple[str, ...] = option(
        (), "Judge on these manifests what is still known: see training.interpolation.", was=("retain_dev",)
    )
    hours: float | None = option(None, "Train on this much audio, whole speakers; left out: all.", unit="h", above=0)
    longest: float = longest_option()
    seeds: tuple[int, ...] = option((0,), "Run every arm with these seeds.")
    control: str = option("dense", "Compare the arms with this one.")
    normalise: Scheme | None = option(None, "Compare texts by this scheme; see `text.normalise`.")
    training: dict[str, Any] = option(factory=dict, help="Train all arms with these settings.", was=("train",))
    prune: dict[str, Any] = option(factory=dict, help="Prune all arms that prune with these settings.")
    arms: dict[str, StudyArm] = option(factory=dict, help="Run these arms.")
    conditions: dict[str, Condition] = option(factory=dict, help="Test some arms under these disturbances as well.")
    lm: StudyLm = option(StudyLm(), "Say which CTC arms are decoded with a language model as well.")
    nonspeech: tuple[str, ...] = option(
        (), "Train silence on the recordings without speech of these manifests, as training.mix says."
    )
    use: StudyUse = option(StudyUse(), "Test all arms under conditions of real use.")
    robust: tuple[str, ...] = option((), "Test these arms under the conditions.")

    @property
    def domain(self) -> str:
        """The test set that arms are compared on first; the others say what is retained."""
        return next(iter(self.tests))

    @property
    def training_manifests(self) -> list[str]:
        """Every manifest that any arm is trained on."""
        own = (name for arm in self.arms.values() for name in arm.train)
        return list(dict.fromkeys([*self.train, *own, *self.rehearsal]))

    def control_of(self, arm: str) -> str:
        """The arm that `arm` is compared with."""
        return self.arms[arm].control or self.control

    def seeds_of(self, arm: str) -> tuple[int, ...]:
        """The seeds of `arm`; a model that is not trained has one."""
        seeds = self.arms[arm].seeds or self.seeds
        return seeds[:1] if self.arms[arm].untrained else seeds


def read_study(path: Path) -> StudySettings:
    """The study in a TOML file, arms with targets spelled out, everything checked.

    Raises:
        SecateurError: a key that nothing knows (with the nearest), a wrong type, a control or teacher that is no arm.
    """
    study = from_dict(StudySettings, read_toml(path), str(path))
    study = replace(study, arms=_spelled_out(study.arms, str(path)))
    for name, arm in study.arms.items():
        arm_settings(study, name, 0, str(path))
        members = [("soup", run_of(one)[0]) for one in arm.soup if "/" not in one]
        teacher = arm.teacher if "/" in arm.teacher else run_of(arm.teacher)[0]
        roles = [("control", arm.control), ("teacher", teacher), ("start", run_of(arm.start)[0]), *members]
        for role, other in roles:
            known = {*study.arms, "original"} if role == "teacher" else set(study.arms)
            if other and other not in known and not (role == "teacher" and "/" in other):
                raise SecateurError(f"{path}: arms.{name}: no arm '{other}' for a {role}{nearest(other, study.arms)}")
        for other in (arm.start, arm.teacher):
            if "/" not in other and len(run_of(other)[1]) > 1:
                raise SecateurError(f"{path}: arms.{name}: one seed is named, such as {run_of(other)[0]}:0")
        if not (arm.start or arm.soup or arm.model or study.model) and not new_of(study, name).preset:
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


def run_of(text: str) -> tuple[str, tuple[int, ...]]:
    """An arm and the seeds that are named with it.

    >>> run_of("merge:0,1"), run_of("merge")
    (('merge', (0, 1)), ('merge', ()))

    Raises:
        SecateurError: seeds that are not numbers.
    """
    arm, colon, seeds = text.partition(":")
    numbers = [one.strip() for one in seeds.split(",")] if colon else []
    if not all(one.isdecimal() for one in numbers):
        raise SecateurError(f"'{text}': expected an arm and its seeds, such as dense:0,1,2")
    return arm, tuple(map(int, numbers))


def needed_runs(study: StudySettings, name: str, seed: int) -> list[tuple[str, int]]:
    """The runs (arm, seed) whose results a run needs, in the order of the file."""
    arm = study.arms[name]
    runs = [_run_named(one, seed) for one in (arm.teacher, arm.start) if "/" not in one]
    for member in [one for one in arm.soup if "/" not in one]:
        of, seeds = run_of(member)
        runs += [(of, one) for one in seeds or study.seeds_of(of)]
    return [run for run in dict.fromkeys(runs) if run[0] in study.arms]


def _run_named(text: str, seed: int) -> tuple[str, int]:
    """The run that `text` names: of its seed, or else of `seed`."""
    arm, seeds = run_of(text)
    return arm, (*seeds, seed)[0]


def start_of(study: StudySettings, name: str, seed: int) -> tuple[str, int]:
    """The run that an arm starts from."""
    return _run_named(study.arms[name].start, seed)


def teacher_of(study: StudySettings, name: str, seed: int) -> tuple[str, int]:
    """The run that an arm is distilled from."""
    return _run_named(study.arms[name].teacher, seed)


def waits_for(study: StudySettings, name: str) -> set[str]:
    """The arms whose results an arm needs."""
    return {arm for arm, _ in needed_runs(study, name, 0)}


def _check_order(study: StudySettings, where: str) -> None:
    """Refuse arms that wait for each other."""
    done: set[str] = set()
    while len(done) < len(study.arms):
        ready = {name for name in study.arms if name not in done and waits_for(study, name) <= done}
        if not ready:
            raise SecateurError(f"{where}: arms wait for each other: {', '.join(sorted(set(study.arms) - done))}")
        done |= ready


def _spelled_out(arms: Mapping[str, StudyArm], where: str) -> dict[str, StudyArm]:
    """Arms with `targets` become one arm a target.

    Raises:
        SecateurError: an arm that says in its own [prune] how much goes, too.
    """
    arms_by_name: dict[str, StudyArm] = {}
    for name, arm in arms.items():
        if not arm.targets:
            arms_by_name[name] = arm
        elif both := next((key for key in ("remove", "amounts", "target") if key in (arm.prune or {})), None):
            raise SecateurError(f"{where}: arms.{name}: targets and prune.{both} both say how much goes: leave one out")
        for target in arm.targets:
            pruned = (arm.prune or {}) | {"remove": target}
            arms_by_name[f"{name}-{100 * target:g}"] = replace(arm, prune=pruned, targets=())
    return arms_by_name


def arm_settings(study: StudySettings, name: str, seed: int, where: str = "study") -> ArmSettings:
    """One arm: the shared settings, overridden by its own."""
    arm = study.arms[name]
    train = None
    if not arm.untrained:
        given = from_dict(TrainSettings, study.training | arm.training, f"{where}: arms.{name}.training")
        made = arm.model or ("" if new_of(study, name).preset else study.model)
        pretrained = bool(arm.start) or (bool(made) and not untrained(made))
        train = replace(given.resolved(pretrained=pretrained, teacher=bool(arm.teacher)), seed=seed)
    prune = None
    if arm.prune is not None:
        values = shared_prune(study.prune, arm.prune) | arm.prune
        prune = from_dict(PruneSettings, values, f"{where}: arms.{name}.prune")
        prune = replace(prune, seed=seed)
        check_settings(prune)
    return ArmSettings(name, train, prune)


def shared_prune(shared: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """What of the `shared` table an arm takes over: all but the settings that only other methods than its own have.

    Raises:
        SecateurError: an unknown method.
    """
    method = METHODS.find(str((shared | own).get("method", PruneSettings.method)), "prune.method")
    return {key: value for key, value in shared.items() if key not in BY_METHOD or key in method.reads}
