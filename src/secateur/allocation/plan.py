"""From a target to the share of every group to remove: plan, build, measure and correct until the target is met."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ..base.errors import SecateurError
from ..base.files import Json, read_json, write_json
from ..base.options import to_dict
from ..base.progress import say
from ..data.job import JobData
from ..evaluate.scoring import score
from ..models.family import TextCodec
from ..models.groups import Group
from ..models.network import Network
from ..prune.allocate import Curve, measured_curves, scored_curves, search, shares, uniform
from ..prune.budget import Cost, Keep, by_budget, kept_after, removals
from ..prune.importance import CRITERIA, Evidence
from ..prune.initial_model import InitialModel
from ..prune.places import Array
from ..prune.ranking import gather_evidence
from ..prune.sensitivity_map import read_map
from ..prune.settings import WER, PruneSettings, Target, parse_target
from ..prune.shrink import shrink
from ..prune.units import COSTS
from ..train import distributed
from .latency import TimedExport, latency_model, side_by_side

TOLERANCE = 0.03  # of the target: close enough
ATTEMPTS = 5
PLAN = "allocation.json"


@dataclass
class UnitPlanner:
    """What planning and measuring need: the dense model, the initial model to prune, and which of its units may go."""

    dense: Network
    text: TextCodec
    initial: InitialModel
    settings: PruneSettings
    data: JobData
    groups: list[Group]
    scores: dict[str, Array]
    curves: dict[str, Curve]

    def plan(self, target: float, cost: Cost) -> Keep:
        """The units that stay when `cost(config)` is to be at most `target`."""
        config, settings = self.initial.model.config, self.settings
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

    def least(self) -> Keep:
        """The units that stay without all that may go."""
        return kept_after({g.name: g for g in self.groups}, [
            step for g in self.groups
            for step in removals(g, self.scores[g.name])[: int(self.settings.protect * g.units / g.blocks)]
        ])  # fmt: skip

    def pruned(self, keep: Keep) -> Network:
        """The initial model with only the units in `keep`."""
        small: Network = shrink(self.initial.model, keep)
        return small.eval()


def planned(
    dense: Network, text: TextCodec, initial: InitialModel, data: JobData, settings: PruneSettings, folder: Path
) -> PruneSettings:
    """The settings with the shares of every group that meet `settings.target`, or that an earlier plan has; themselves
    without either.

    The target is a share of what `dense` takes, padded to its window only if `initial` is; inputs, vocabulary and
    contexts that `initial` lacks count. The plan is written to `folder` and used again by a run that resumes.

    Raises:
        SecateurError: a target that cannot be met, settings that contradict it, an unreadable map.
    """
    if settings.plan:
        return replace(settings, plan="", remove=None, amounts=amounts_in(Path(settings.plan)))
    if not settings.target:
        return settings
    plan: Json = {}
    if distributed.rank() == 0:
        with distributed.by_itself():
            plan = stored_plan(folder, settings) or _new_plan(dense, text, initial, data, settings, folder)
    plan = distributed.agreed(plan)
    return replace(settings, target="", remove=None, amounts=plan["amounts"])


def amounts_in(path: Path) -> dict[str, float]:
    """The shares in a plan file.

    Raises:
        SecateurError: missing, or no plan.
    """
    values = read_json(path)
    amounts = values.get("amounts") if isinstance(values, dict) else None
    if not isinstance(amounts, dict) or not all(isinstance(share, float) for share in amounts.values()):
        raise SecateurError(f"{path}: not a plan; `secateur prune --prune.target` writes one as {PLAN}")
    return amounts


def stored_plan(folder: Path, settings: PruneSettings) -> Json | None:
    """The plan that an earlier run with the same settings wrote to `folder`."""
    path = folder / PLAN
    values = read_json(path) if path.exists() else None
    return dict(values) if values is not None and values["settings"] == _as_json(settings) else None


def _as_json(settings: PruneSettings) -> Json:
    """The settings after a way through JSON, to compare with stored ones."""
    import json

    return dict(json.loads(json.dumps(to_dict(settings))))


def _new_plan(
    dense: Network, text: TextCodec, initial: InitialModel, data: JobData, settings: PruneSettings, folder: Path
) -> Json:
    target = parse_target(settings.target)
    dense = copy.copy(dense).eval()
    if getattr(dense.config, "padded", False) and not initial.model.config.padded:
        dense.config = replace(dense.config, padded=False)
    say(f"allocation: {target.measure} {target.value:g} by {settings.allocate}")
    case = planner_of(dense, text, initial, data, settings)
    keep, trail = _meet(case, target)
    groups = {g.name: g for g in case.groups}
    amounts = shares(case.groups, keep)
    plan = {
        "settings": _as_json(settings), "target": {"measure": target.measure, "value": target.value},
        "reached": trail[-1]["reached"], "trail": trail[:-1], "amounts": amounts,
        "units": {n: [len(keep[n]), groups[n].units] for n in sorted(amounts)}, **trail[-1].get("more", {}),
    }  # fmt: skip
    write_json(folder / PLAN, plan)
    say(f"allocation: {target.measure} {plan['reached']:.3g}, target {target.value:g}; see {folder / PLAN}")
    return plan


def planner_of(
    dense: Network, text: TextCodec, initial: InitialModel, data: JobData, settings: PruneSettings
) -> UnitPlanner:
    """Scores of all units that may be removed, and the loss increase without them."""
    model = initial.model
    groups = [g for g in model.groups() if g.maskable and g.kind in settings.kinds and g.units > g.blocks * g.minimum]
    if not groups:
        raise SecateurError("the model has no units of these kinds; name others (prune.kinds)")
    evidence: Evidence = gather_evidence(model, initial.tokenizer, data)
    evidence.map = read_map(settings.map) if settings.map else None
    scores = {g.name: CRITERIA[settings.criterion](g, evidence) for g in groups}
    taylor = {g.name: CRITERIA["taylor"](g, evidence) for g in groups}
    curves = scored_curves(groups, taylor)
    if evidence.map is not None and settings.allocate == "search":
        curves = measured_curves(groups, curves, evidence.map, settings.search_by)
    return UnitPlanner(dense, text, initial, settings, data, groups, scores, curves)


def _meet(case: UnitPlanner, target: Target) -> tuple[Keep, list[Json]]:
    """The plan that meets the target, and the attempts; the last entry has what was reached."""
    if target.measure == WER:
        return _within_error(case, target.value)
    settings = case.settings
    if target.measure in ("parameters", "macs"):
        cost = COSTS[target.measure]
        whole = cost(case.dense.config)
        keep = case.plan(target.value * whole, cost)
        reached = cost(case.initial.model.config.shrunk(dict(keep))) / whole
        return keep, [{"reached": reached}]
    whole_exported = TimedExport(case.dense, case.text, settings.precision)
    measure: Callable[[TimedExport], float]
    details: Json
    if target.measure == "size":
        parameters, size = COSTS["parameters"], whole_exported.bytes
        start = TimedExport(case.initial.model, case.initial.tokenizer, settings.precision).bytes / size
        scale = start / parameters(case.initial.model.config)
        cost, details = (lambda config: scale * parameters(config)), {"dense_bytes": size}

        def measure(exported: TimedExport) -> float:
            return exported.bytes / size
    else:
        names = {g.name for g in case.groups}
        groups = [g for g in case.dense.groups() if g.name in names]
        times = latency_model(case.dense, case.text, whole_exported, groups, settings.precision)
        cost, details = times, {"model_off": times.off, "student_ms": times.milliseconds(case.initial.model.config)}

        def measure(exported: TimedExport) -> float:
            return side_by_side(whole_exported, exported)[2]

    keep, trail = corrected(case.plan, cost, measure_of(case, measure), target.value)
    trail[-1]["more"] = details
    return keep, trail


def measure_of(case: UnitPlanner, measure: Callable[[TimedExport], float]) -> Callable[[Keep], float]:
    """Build, export and measure a plan."""
    return lambda keep: measure(TimedExport(case.pruned(keep), case.initial.tokenizer, case.settings.precision))


def corrected(
    plan: Callable[[float, Cost], Keep], cost: Cost, measure: Callable[[Keep], float], target: float
) -> tuple[Keep, list[Json]]:
    """Plan by the predicted `cost`, measure, and correct the aim by the error, a few times at most.

    Returns the plan that came closest, and the attempts with a last entry for what was reached.

    Raises:
        SecateurError: the target cannot be met in the first attempt.
    """
    aim, best, trail = target, None, []
    for i in range(ATTEMPTS):
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
        if abs(measured / target - 1) <= TOLERANCE or (i == 0 and not keep and measured < target):
            break
        aim *= target / measured
    assert best is not None
    return best[0], [*trail, {"reached": best[1]}]


def _within_error(case: UnitPlanner, points: float) -> tuple[Keep, list[Json]]:
    """The smallest model, by parameters, whose error on dev rises by at most `points`, before any training.

    Raises:
        SecateurError: what was cut before (inputs, vocabulary) already costs more.
    """
    data, parameters = case.data, COSTS["parameters"]
    config = case.initial.model.config
    whole = 100 * score(case.dense.to(data.device), case.text, data, "dev", data.dev, "dense").rate

    def error_increase(keep: Keep) -> float:
        small = case.pruned(keep).to(data.device)
        return 100 * score(small, case.initial.tokenizer, data, "dev", data.dev, "plan").rate - whole

    full, best, trail = parameters(config), None, []
    low, high = 1 - case.settings.protect, 1.0  # share of the parameters that stays
    aim = 1.0
    for _ in range(ATTEMPTS + 2):
        try:
            keep = case.plan(aim * full, parameters)
        except SecateurError:  # too few to reach: the next attempt keeps more
            low, aim = aim, (aim + high) / 2
            continue
        increase = error_increase(keep)
        trail.append({"aim": aim, "measured": increase})
        say(f"allocation: {100 * (1 - aim):.0f} % removed, error {increase:+.2f} points")
        if increase <= points:
            best, high = (keep, increase), aim
        elif best is None:
            raise SecateurError(
                f"target wer=+{points:g}: what is cut before (inputs, vocabulary, contexts) already costs "
                f"{increase:+.2f} points; cut less of it, or allow more"
            )
        else:
            low = aim
        aim = (low + high) / 2
    assert best is not None
    return best[0], [*trail, {"reached": best[1], "more": {"dense_error": whole}}]
