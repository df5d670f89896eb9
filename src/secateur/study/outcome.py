"""The outcome of a study: every arm against its control, paired over speakers, pooled over seeds, Holm-corrected.

Nothing here chooses on test: arms are put in order by their error on dev.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, stdev

from ..base.errors import check_known
from ..base.files import Json
from ..evaluate.bootstrap import Difference, holm, paired_difference, rate_interval, two_sided
from .lm import LM
from .settings import StudySettings, read_study
from .store import Clips, RunFile, read_store


@dataclass(frozen=True)
class SetOutcome:
    """An arm on one test set. Rates are fractions."""

    rate: float
    deviation: float | None  # between seeds
    interval: tuple[float, float]
    against: Difference | None  # the control, on the same clips and seeds
    adjusted: float | None = None  # p value after Holm's correction over the arms of the study
    pinyin: PinyinOutcome | None = None  # of Chinese


@dataclass(frozen=True)
class PinyinOutcome:
    """How an arm's Chinese sounds, on one test set; see `evaluate.sounds`."""

    rate: float  # pinyin error rate, tones counted
    deviation: float | None
    interval: tuple[float, float]
    against: Difference | None
    tone: float  # tone error rate


@dataclass(frozen=True)
class ArmOutcome:
    """An arm over all its seeds."""

    arm: str
    control: str
    about: str
    seeds: tuple[int, ...]
    dev: float
    sets: dict[str, SetOutcome]  # test sets and, as `set@condition`, disturbed ones
    removed: float  # share of all values, vocabulary and contexts counted
    removed_weights: float  # share of the encoder's and decoder's weight matrices that is zero or removed
    removed_or_zero: float | None  # share of all values; None where that was not counted
    steps: int
    flops: float  # of training, mean over seeds
    seconds: float  # of training, mean over seeds
    reached: float | None  # share of the steps after which dev is within 2 % of the control's best; None: never

    @property
    def ratio(self) -> float:
        """Error in domain over the control's."""
        first = next(iter(self.sets.values()))
        return first.rate / first.against.a if first.against else 1.0


@dataclass(frozen=True)
class Outcome:
    """Every arm of a study over its seeds."""

    study: StudySettings
    arms: tuple[ArmOutcome, ...]  # by dev, the best first
    clips: dict[str, Clips]
    runs: tuple[RunFile, ...]


def study_outcome(path: Path, store: Path, against: str = "") -> Outcome:
    """Read a study's small result files and compare every arm with its control, or all with the arm `against`.

    Raises:
        SecateurError: no results, or no such arm (with the nearest).
    """
    study = read_study(path)
    if against:
        check_known("arm", against, study.arms)
        study = replace(study, control=against, arms={n: replace(a, control=None) for n, a in study.arms.items()})
    runs, clips = read_store(store)
    by_arm = {name: [r for r in runs if r.arm == name] for name in study.arms}
    by_arm = {name: runs_of_arm for name, runs_of_arm in by_arm.items() if runs_of_arm}
    arms = [_arm(study, name, by_arm, clips) for name in by_arm]
    for data in study.tests:
        compared = {a.arm: a.sets[data].against for a in arms if not study.arms[a.arm].zero_shot}
        values = {name: two_sided(against) for name, against in compared.items() if against is not None}
        for name, value in holm(values).items():
            arm = next(a for a in arms if a.arm == name)
            arm.sets[data] = replace(arm.sets[data], adjusted=value)
    return Outcome(study, tuple(sorted(arms, key=lambda a: a.dev)), clips, tuple(runs))


def _arm(study: StudySettings, name: str, by_arm: dict[str, list[RunFile]], clips: dict[str, Clips]) -> ArmOutcome:
    runs, control = by_arm[name], study.control_of(name)
    others = by_arm.get(control, [])
    sets = {}
    for key in _keys(study, runs):
        base = clips[key.partition("@")[0]]
        tested = [r for r in runs if key in r.errors]
        errors = [r.errors[key] for r in tested]
        rates = [r.rate(key, base) for r in tested]
        shared = [(o, r) for o in others for r in tested if o.seed == r.seed and key in o.errors]
        if not shared and others and study.arms[name].untrained and key in others[0].errors:
            shared = [(others[0], runs[0])]
        against = None
        if name != control and shared:
            against = paired_difference(
                [o.errors[key] for o, _ in shared], [r.errors[key] for _, r in shared], base.words, base.speakers
            )
        sets[key] = SetOutcome(
            mean(rates),
            stdev(rates) if len(rates) > 1 else None,
            rate_interval(errors, base.words, base.speakers),
            against,
            pinyin=_pinyin(key, tested, [] if name == control else shared, base.speakers),
        )
    best = min((e["error"] for o in others for e in o.log if "error" in e), default=None)
    reached = [_reached(r.log, best * 1.02) for r in runs] if best is not None else []
    counted = all("removed_or_zero" in r.summary for r in runs)
    return ArmOutcome(
        arm=name, control=control, about=study.arms[name].about, seeds=tuple(r.seed for r in runs),
        dev=mean(r.summary["error"]["dev"] for r in runs), sets=sets, removed=_mean(runs, "removed"),
        removed_weights=_mean(runs, "removed_weights"),
        removed_or_zero=_mean(runs, "removed_or_zero") if counted else None,
        steps=runs[0].summary["steps"], flops=_mean(runs, "flops"),
        seconds=mean(r.log[-1]["seconds"] if r.log else 0.0 for r in runs),
        reached=None if not reached or None in reached else mean(r for r in reached if r is not None),
    )  # fmt: skip


def _pinyin(
    key: str, runs: Sequence[RunFile], shared: Sequence[tuple[RunFile, RunFile]], speakers: Sequence[str]
) -> PinyinOutcome | None:
    """Rates of `runs` on the set `key`, and against their controls in `shared`; None for other languages."""
    if not all(key in r.sounds for r in (*runs, *(o for o, _ in shared))):
        return None
    reference_counts = [clip.reference for clip in runs[0].sounds[key]]

    def errors(of: Sequence[RunFile]) -> list[list[int]]:
        return [[clip.pinyin for clip in r.sounds[key]] for r in of]

    rates = [sum(row) / sum(reference_counts) for row in errors(runs)]
    clips = [clip for r in runs for clip in r.sounds[key]]
    against = None
    if shared:
        against = paired_difference(
            errors([o for o, _ in shared]), errors([r for _, r in shared]), reference_counts, speakers
        )
    return PinyinOutcome(
        mean(rates),
        stdev(rates) if len(rates) > 1 else None,
        rate_interval(errors(runs), reference_counts, speakers),
        against,
        sum(c.tones for c in clips) / max(sum(c.right for c in clips), 1),
    )


def _keys(study: StudySettings, runs: Sequence[RunFile]) -> list[str]:
    """The test sets in the study's order, then the disturbed ones, which a run that was cut short may lack."""
    plain = [t for t in study.tests if all(t in r.errors for r in runs)]
    disturbed = [f"{t}@{c}" for c in (*study.conditions, LM) for t in study.tests]
    return plain + [k for k in disturbed if any(k in r.errors for r in runs)]


def _mean(runs: Sequence[RunFile], key: str) -> float:
    return mean(float(r.summary.get(key, 0.0)) for r in runs)


def _reached(log: Sequence[Json], target: float) -> float | None:
    """Share of the steps after which dev is at `target` for the first time."""
    return next((e["step"] / e["total"] for e in log if e.get("error", 1.0) <= target), None)
