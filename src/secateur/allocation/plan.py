"""A target becomes shares of every group: plan, build, measure, correct, and again until it is met."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..base.errors import SecateurError
from ..base.files import read_json, write_json
from ..base.options import to_dict
from ..base.progress import say
from ..data.job import JobData
from ..evaluate.scoring import score
from ..models.family import TextCodec
from ..models.groups import Group
from ..models.network import Network
from ..prune.allocate import Curve, measured_curves, scored_curves, search, shares, uniform
from ..prune.budget import Cost, Keep, by_budget
from ..prune.importance import CRITERIA, Evidence
from ..prune.ranking import gather_evidence
from ..prune.sensitivity_map import read_map
from ..prune.settings import PruneSettings
from ..prune.shrink import shrink
from ..prune.student import Student
from ..prune.target import WER, Target, parse_target
from ..prune.units import COSTS
from ..train import distributed
from .latency import latency_model
from .timing import Exported, side_by_side

CLOSE = 0.03  # of the target: near enough
TRIES = 5
PLAN = "allocation.json"


@dataclass
class _Case:
    """What planning and measuring need: the dense model, the student that is cut, which units may go."""

    dense: Network
    text: TextCodec
    student: Student
    settings: PruneSettings
    data: JobData
    groups: list[Group]
    scores: dict[str, Any]
    curves: dict[str, Curve]

    def plan(self, target: float, cost: Cost) -> Keep:
        """The units that stay when `cost(config)` is to be at most `target`."""
        config, settings = self.student.model.config, self.settings
        if cost(config) <= target:
            return {}
        if settings.allocate == "uniform":
            return uniform(config, self.groups, self.scores, target, cost, settings.protect)
        if settings.allocate == "search":
            return search(config, self.groups, self.scores, self.curves, target, cost, settings.protect)
        losses = CRITERIA[settings.criterion].is_loss
        return by_budget(
            config, self.groups, self.scores, target, cost, tuple({g.kind for g in self.groups}),
            normalise=not losses, protect=settings.protect, per_cost=losses,
        )  # fmt: skip

    def built(self, keep: Keep) -> Any:
        """The student without what goes."""
        return shrink(self.student.model, keep).eval()


def planned(
    dense: Network, text: TextCodec, student: Student, data: JobData, settings: PruneSettings, folder: Path
) -> PruneSettings:  # fmt: skip
    """The settings with the shares of every group that meet `settings.target`, or that an earlier plan has; themselves
    without either.

    The target is a share of what `dense` takes, padded to its window only if the student is; cut inputs, vocabulary
    and contexts of the student count. The plan is kept in `folder` and used again by a run that resumes.

    Raises:
        SecateurError: a target that cannot be met, settings that contradict it, an unreadable map.
    """
    if settings.plan:
        return replace(settings, plan="", remove=None, amounts=amounts_in(Path(settings.plan)))
    if not settings.target:
        return settings
    plan: dict[str, Any] = {}
    if distributed.rank() == 0:
        plan = _kept(folder, settings) or _made(dense, text, student, data, settings, folder)
    plan = distributed.agreed(plan)
    return replace(settings, target="", remove=None, amounts=plan["amounts"])


def amounts_in(path: Path) -> dict[str, float]:
    """The shares that a plan file has.

    Raises:
        SecateurError: missing, or no plan.
    """
    values = read_json(path)
    amounts = values.get("amounts") if isinstance(values, dict) else None
    if not isinstance(amounts, dict) or not all(isinstance(share, float) for share in amounts.values()):
        raise SecateurError(f"{path}: not a plan; `secateur prune --prune.target` writes one as {PLAN}")
    return amounts


def _kept(folder: Path, settings: PruneSettings) -> dict[str, Any] | None:
    path = folder / PLAN
    values = read_json(path) if path.exists() else None
    return dict(values) if values is not None and values["settings"] == _plain(settings) else None


def _plain(settings: PruneSettings) -> dict[str, Any]:
    """As JSON has it."""
    import json

    return dict(json.loads(json.dumps(to_dict(settings))))


def _made(
    dense: Network, text: TextCodec, student: Student, data: JobData, settings: PruneSettings, folder: Path
) -> dict[str, Any]:
    target = parse_target(settings.target)
    dense = copy.copy(dense).eval()
    if getattr(dense.config, "padded", False) and not student.model.config.padded:
        dense.config = replace(dense.config, padded=False)
    say(f"allocation: {target.measure} {target.value:g} by {settings.allocate}")
    case = _case(dense, text, student, data, settings)
    keep, trail = _met(case, target)
    groups = {g.name: g for g in case.groups}
    amounts = shares(case.groups, keep)
    plan = {
        "settings": _plain(settings), "target": {"measure": target.measure, "value": target.value},
        "reached": trail[-1]["reached"], "trail": trail[:-1], "amounts": amounts,
        "units": {n: [len(keep[n]), groups[n].units] for n in sorted(amounts)}, **trail[-1].get("more", {}),
    }  # fmt: skip
    write_json(folder / PLAN, plan)
    say(f"allocation: {target.measure} {plan['reached']:.3g}, target {target.value:g}; see {folder / PLAN}")
    return plan


def _case(dense: Network, text: TextCodec, student: Student, data: JobData, settings: PruneSettings) -> _Case:
    """Scores of all units that may go, and what losing them does."""
    model = student.model
    groups = [g for g in model.groups() if g.maskable and g.kind in settings.kinds and g.units > g.blocks * g.minimum]
    if not groups:
        raise SecateurError("the model has no units of these kinds; name others (prune.kinds)")
    evidence: Evidence = gather_evidence(model, student.tokenizer, data)
    evidence.map = read_map(settings.map) if settings.map else None
    scores = {g.name: CRITERIA[settings.criterion](g, evidence) for g in groups}
    taylor = {g.name: CRITERIA["taylor"](g, evidence) for g in groups}
    curves = scored_curves(groups, taylor)
    if evidence.map is not None and settings.allocate == "search":
        curves = measured_curves(groups, curves, evidence.map, settings.search_by)
    return _Case(dense, text, student, settings, data, groups, scores, curves)


def _met(case: _Case, target: Target) -> tuple[Keep, list[dict[str, Any]]]:
    """The plan that meets the target, and how it was found; the last entry says what was reached."""
    if target.measure == WER:
        return _within_error(case, target.value)
    settings = case.settings
    if target.measure in ("parameters", "macs"):
        cost = COSTS[target.measure]
        whole = cost(case.dense.config)
        keep = case.plan(target.value * whole, cost)
        reached = cost(case.student.model.config.shrunk(dict(keep))) / whole
        return keep, [{"reached": reached}]
    whole_exported = Exported(case.dense, case.text, settings.precision)
    measure: Callable[[Exported], float]
    more: dict[str, Any]
    if target.measure == "size":
        parameters, size = COSTS["parameters"], whole_exported.bytes
        start = Exported(case.student.model, case.student.tokenizer, settings.precision).bytes / size
        scale = start / parameters(case.student.model.config)
        cost, more = (lambda config: scale * parameters(config)), {"dense_bytes": size}

        def measure(made: Exported) -> float:
            return made.bytes / size
    else:
        names = {g.name for g in case.groups}
        groups = [g for g in case.dense.groups() if g.name in names]
        times = latency_model(case.dense, case.text, whole_exported, groups, settings.precision)
        cost, more = times, {"model_off": times.off, "student_ms": times.milliseconds(case.student.model.config)}

        def measure(made: Exported) -> float:
            return side_by_side(whole_exported, made)[2]

    keep, trail = corrected(case.plan, cost, measure_of(case, measure), target.value)
    trail[-1]["more"] = more
    return keep, trail


def measure_of(case: _Case, measure: Callable[[Exported], float]) -> Callable[[Keep], float]:
    """Build, export and measure a plan."""
    return lambda keep: measure(Exported(case.built(keep), case.student.tokenizer, case.settings.precision))


def corrected(
    plan: Callable[[float, Cost], Keep], cost: Cost, measure: Callable[[Keep], float], target: float
) -> tuple[Keep, list[dict[str, Any]]]:
    """Plan for what `cost` predicts, measure, and aim higher or lower by what was missed, a few times at most.

    Returns the plan that came closest, and the tries with a last entry for what was reached.

    Raises:
        SecateurError: the target is out of reach at the first try.
    """
    aim, best, trail = target, None, []
    for i in range(TRIES):
        try:
            keep = plan(aim, cost)
        except SecateurError:
            if best is None:
                raise
            break
        measured = measure(keep)
        trail.append({"aim": aim, "measured": measured})
        say(f"allocation: planned for {aim:.3f}, measured {measured:.3f}")
        if best is None or abs(measured - target) < abs(best[1] - target):
            best = keep, measured
        if abs(measured / target - 1) <= CLOSE or (i == 0 and not keep and measured < target):
            break
        aim *= target / measured
    assert best is not None
    return best[0], [*trail, {"reached": best[1]}]


def _within_error(case: _Case, points: float) -> tuple[Keep, list[dict[str, Any]]]:
    """The smallest model, by parameters, whose error on dev rises by at most `points`, before any tuning.

    Raises:
        SecateurError: what was cut before (inputs, vocabulary) already costs more.
    """
    data, parameters = case.data, COSTS["parameters"]
    config = case.student.model.config
    whole = 100 * score(case.dense.to(data.device), case.text, data, "dev", data.dev, "dense").rate

    def rise(keep: Keep) -> float:
        small = case.built(keep).to(data.device)
        return 100 * score(small, case.student.tokenizer, data, "dev", data.dev, "plan").rate - whole

    full, best, trail = parameters(config), None, []
    low, high = 1 - case.settings.protect, 1.0  # share of the parameters that stays
    aim = 1.0
    for _ in range(TRIES + 2):
        try:
            keep = case.plan(aim * full, parameters)
        except SecateurError:  # not so few: the next try asks for more
            low, aim = aim, (aim + high) / 2
            continue
        risen = rise(keep)
        trail.append({"aim": aim, "measured": risen})
        say(f"allocation: {100 * (1 - aim):.0f} % gone, error {risen:+.2f} points")
        if risen <= points:
            best, high = (keep, risen), aim
        elif best is None:
            raise SecateurError(
                f"target wer=+{points:g}: what is cut before (inputs, vocabulary, contexts) already costs {risen:+.2f} "
                "points; cut less of it, or allow more"
            )
        else:
            low = aim
        aim = (low + high) / 2
    assert best is not None
    return best[0], [*trail, {"reached": best[1], "more": {"dense_error": whole}}]
