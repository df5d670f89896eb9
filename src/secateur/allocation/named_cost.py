"""A plan whose measured cost is at most another model's: `--prune.target cost=tiny.en`.

Three costs of an export in one thread, in the same precision: processor milliseconds of a short and of a long clip, and
bytes. What may go is searched jointly: frames merged inside the encoder, vocabulary rows, matrices of lower rank, units
of every group. Each combination of the first three is a variant; within one, units go by the allocation search. The
variant with the smallest loss on training clips, before any tuning, is built, measured beside the named model, and
planned again until no cost is above it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ..base.errors import SecateurError
from ..base.files import Json, read_json, write_json
from ..base.options import to_dict
from ..base.progress import say
from ..data.job import JobData
from ..models.family import Config, TextCodec, family_of, read_config
from ..models.frame_merging import MergingConfig
from ..models.network import Network
from ..prune.allocate import shares
from ..prune.budget import Keep
from ..prune.initial_model import InitialModel
from ..prune.measured_cuts import with_measured_cuts
from ..prune.ranking import training_batches
from ..prune.settings import COST, PruneSettings, parse_target
from ..train import distributed
from ..train.settings import TrainSettings
from ..weights.fetch import fetch, load_model
from .latency import LatencyModel, TimedExport, latency_model, side_by_side
from .plan import ATTEMPTS, PLAN, TOLERANCE, UnitPlanner, planner_of, stored_plan

CLIPS = {"short": (4.0, 14), "long": (12.0, 40)}  # seconds, tokens: a command, and a sentence of an audio book
EXPORT = "export.json"
SIZE = "size"
LOW_RANK = 0.6  # share of the values that feed-forward matrices keep in variants of lower rank
FEW_ROWS = 2000  # below, rows are no cost worth a variant
Make = Callable[[PruneSettings], InitialModel]


@dataclass(frozen=True)
class CutVariant:
    """What is cut before units are: settings, and how they are shown."""

    settings: PruneSettings
    shown: str


def planned_cost(
    dense: Network, text: TextCodec, make: Make, data: JobData, settings: PruneSettings, folder: Path
) -> PruneSettings:
    """The settings that cut `dense` to the cost that `settings.target` names: merges, rows, ranks, shares of groups.

    `make` gives the initial model for settings. The plan is written to `folder` and used again by a run that resumes.

    Raises:
        SecateurError: no such model, one in another precision, or a cost that nothing reaches: with what comes nearest.
    """
    plan: Json = {}
    if distributed.rank() == 0:
        plan = stored_plan(folder, settings) or _new_plan(dense, text, make, data, settings, folder)
    plan = distributed.agreed(plan)
    return replace(settings, **_tuples(plan["chosen"]), target="", remove=None, amounts=plan["amounts"])


def _tuples(values: Mapping[str, object]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}


def named_folder(name: str, precision: str) -> Path:
    """The folder of the model whose cost is the target, as an export in `precision` or as a checkpoint.

    Raises:
        SecateurError: no such model, or an export in another precision.
    """
    if not (Path(name) / EXPORT).exists():
        return fetch(name)
    stored = str(read_json(Path(name) / EXPORT).get("precision", ""))
    if stored != precision:
        raise SecateurError(
            f"target cost={name}: an export in {stored}, and plans are measured in {precision}: "
            f"say --prune.precision {stored}, or name the checkpoint it came from"
        )
    return Path(name)


class NamedModel:
    """The named model, and what it takes beside others."""

    def __init__(self, name: str, precision: str, padded: bool) -> None:
        self.name = name
        folder = named_folder(name, precision)
        if (folder / EXPORT).exists():
            config = read_config(folder / "config.json")
            self.timed = {clip: TimedExport.of_folder(folder, config, *size) for clip, size in CLIPS.items()}
        else:
            model, text = load_model(folder)
            if getattr(model.config, "padded", False) and not padded:
                model.config = replace(model.config, padded=False)
            self.timed = _timed(model.eval(), text, precision)
        self.bytes = self.timed["short"].bytes

    def ratios(self, timed: Mapping[str, TimedExport]) -> dict[str, float]:
        """What another export takes, as shares of what the named one does."""
        times = {clip: side_by_side(self.timed[clip], timed[clip])[2] for clip in CLIPS}
        return {**times, SIZE: timed["short"].bytes / self.bytes}


def _timed(model: Network, text: TextCodec, precision: str) -> dict[str, TimedExport]:
    return dict(zip(CLIPS, TimedExport.of_clips(model, text, precision, list(CLIPS.values())), strict=True))


def variants(config: Config, settings: PruneSettings, rows: int | None) -> list[CutVariant]:
    """What may be cut before units: frames merged or not, all or half of `rows`, lower rank or not. What the settings
    say already stays as it is."""
    layers = len(config.merge_layers) if isinstance(config, MergingConfig) and not config.frame_merging else 0
    merges: list[tuple[str, ...]] = [settings.merge_frames]
    if not settings.merge_frames and layers:
        merges += [("0:2",), *([("0:2", f"{layers // 2}:2")] if layers > 2 else [])]
    limits: list[int | None] = [settings.rows]
    if rows is not None and settings.rows is None and settings.vocabulary is True and rows > FEW_ROWS:
        limits.append(rows // 2)
    ranks: list[dict[str, float]] = [settings.low_rank]
    if not settings.low_rank and hasattr(config, "ranks"):
        ranks.append({"*.ffn.*": LOW_RANK})
    made = []
    for merge, limit, rank in itertools.product(merges, limits, ranks):
        shown = [f"frames merged {' '.join(merge)}"] if merge else []
        shown += [f"{limit} rows"] if limit else []
        shown += [f"rank {name}={share:g}" for name, share in rank.items()]
        cut = replace(settings, merge_frames=merge, rows=limit, low_rank=rank)
        made.append(CutVariant(cut, ", ".join(shown) or "units only"))
    return made


@dataclass
class CostCase:
    """A variant that was built: its initial model, the planner of its units, and its predicted costs."""

    variant: CutVariant
    initial: InitialModel
    planner: UnitPlanner
    predicted: Callable[[Config], dict[str, float]]
    factors: dict[str, float]  # measured over predicted

    def cost(self, config: Config) -> float:
        """At most 1 when no cost is predicted above the named model's; all excesses added up."""
        ratios = self.predicted(config)
        return 1 + sum(max(0.0, self.factors[name] * ratio - 1) for name, ratio in ratios.items())

    def plan(self) -> Keep:
        """The units that stay.

        Raises:
            SecateurError: not even without all that may go.
        """
        return self.planner.plan(1.0, self.cost)

    def smallest(self) -> dict[str, float]:
        """Predicted costs without all that may go."""
        config = self.initial.model.config.shrunk(dict(self.planner.least()))
        return {name: self.factors[name] * ratio for name, ratio in self.predicted(config).items()}


def _new_plan(
    dense: Network, text: TextCodec, make: Make, data: JobData, settings: PruneSettings, folder: Path
) -> Json:
    target = parse_target(settings.target)
    first = make(settings)
    reference = NamedModel(target.model, settings.precision, bool(getattr(first.model.config, "padded", False)))
    rows = getattr(first.model.config, "vocabulary", None)
    every = variants(first.model.config, settings, rows)
    say(
        f"allocation: cost of {target.model} in {settings.precision}, {len(every)} variants of what is cut before units"
    )
    cases, losses, nearest = [], [], list[tuple[float, str, dict[str, float]]]()
    rates: LatencyModel | None = None
    for variant in every:
        try:
            initial = with_measured_cuts(make(variant.settings), data, variant.settings)
            planner = planner_of(dense, text, initial, data, variant.settings)
        except SecateurError as problem:
            say(f"allocation: {variant.shown}: left out ({problem})")
            continue
        model = initial.model.eval()
        timed = _timed(model, initial.tokenizer, settings.precision)
        if rates is None:
            rates = latency_model(model, initial.tokenizer, timed["short"], planner.groups, settings.precision)
        measured = reference.ratios(timed)
        case = CostCase(
            variant, initial, planner, _prediction(model.config, measured, rates), dict.fromkeys(measured, 1.0)
        )
        try:
            keep = case.plan()
        except SecateurError:
            smallest = case.smallest()
            nearest.append((max(smallest.values()), variant.shown, smallest))
            say(f"allocation: {variant.shown}: not reachable ({_shown(smallest)})")
            continue
        loss = _loss(planner.pruned(keep), initial.tokenizer, data)
        say(f"allocation: {variant.shown}: loss {loss:.3f} before tuning")
        cases.append(case)
        losses.append(loss)
    trail = [{"variant": case.variant.shown, "loss": loss} for case, loss in zip(cases, losses, strict=True)]
    for _, case in sorted(zip(losses, cases, strict=True), key=lambda pair: pair[0]):
        reached = _meet(case, reference)
        if isinstance(reached, tuple):
            return _written(case, *reached, trail, settings, folder)
        nearest.append((max(reached.values()), case.variant.shown, reached))
    if not nearest:
        raise SecateurError(f"target {settings.target}: no variant of this model can be planned; see the lines above")
    _, shown, costs = min(nearest, key=lambda one: one[0])
    raise SecateurError(
        f"target {settings.target}: not reachable; nearest is '{shown}' with {_shown(costs)} of its cost: "
        "let more go (prune.kinds, prune.protect), keep fewer rows, or name a larger model"
    )


def _prediction(
    config: Config, measured: dict[str, float], rates: LatencyModel
) -> Callable[[Config], dict[str, float]]:
    """Costs of configs cut from `config`, as shares of the named model's: what `config` was measured at, times the
    predicted share that stays."""
    parameters = family_of(config).parameters

    def time(of: Config, clip: str) -> float:
        seconds, tokens = CLIPS[clip]
        parts = family_of(of).parts(of, min(seconds, of.max_seconds), tokens)
        return rates.rest + sum(rates.rates.get(name, 0.0) * macs for name, macs in parts.items())

    whole = {clip: time(config, clip) for clip in CLIPS}

    def predicted(of: Config) -> dict[str, float]:
        times = {clip: measured[clip] * time(of, clip) / whole[clip] for clip in CLIPS}
        return {**times, SIZE: measured[SIZE] * parameters(of) / parameters(config)}

    return predicted


def _meet(case: CostCase, reference: NamedModel) -> tuple[Keep, dict[str, float]] | dict[str, float]:
    """The plan that was measured at no more than the named model, and its costs; else the lowest costs measured."""
    best: tuple[Keep, dict[str, float]] | None = None
    lowest: dict[str, float] = {}
    for _ in range(ATTEMPTS):
        try:
            keep = case.plan()
        except SecateurError:
            break
        small = case.planner.pruned(keep)
        ratios = reference.ratios(_timed(small, case.initial.tokenizer, case.variant.settings.precision))
        say(f"allocation: {case.variant.shown}: measured {_shown(ratios)}")
        largest = max(ratios.values())
        if not lowest or largest < max(lowest.values()):
            lowest = ratios
        if largest <= 1 and (best is None or largest > max(best[1].values())):
            best = keep, ratios
        if largest <= 1 and (not keep or largest >= 1 - TOLERANCE):
            break
        expected = case.predicted(small.config)
        # A little below: a time that is measured again may be a little longer.
        case.factors = {name: 1.005 * ratios[name] / expected[name] for name in ratios}
    return best or lowest or case.smallest()


@torch.no_grad()
def _loss(model: Network, text: TextCodec, data: JobData, batches: int = 3, seconds: float = 40.0) -> float:
    """Mean training loss over a few batches, without tuning."""
    model = model.to(data.device).eval()
    objective, loaded = training_batches(model, text, data, data.training, batches, seconds)
    with model.on_first_grid():
        losses = [float(objective(model, batch, TrainSettings())) for batch in loaded]
    return sum(losses) / len(losses)


def _shown(ratios: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items())


def _written(
    case: CostCase, keep: Keep, reached: dict[str, float], trail: Sequence[Json], settings: PruneSettings, folder: Path
) -> Json:
    """The plan, in its file."""
    cut, groups = case.variant.settings, {g.name: g for g in case.planner.groups}
    amounts = shares(case.planner.groups, keep)
    plan: Json = {
        "settings": to_dict(settings),
        "target": {"measure": COST, "model": parse_target(settings.target).model},
        "reached": reached,
        "trail": list(trail),
        "amounts": amounts,
        "chosen": {"merge_frames": list(cut.merge_frames), "rows": cut.rows, "low_rank": cut.low_rank},
        "units": {n: [len(keep[n]), groups[n].units] for n in sorted(amounts)},
    }
    write_json(folder / PLAN, plan)
    say(f"allocation: {case.variant.shown}: {_shown(reached)} of the cost; see {folder / PLAN}")
    return plan
