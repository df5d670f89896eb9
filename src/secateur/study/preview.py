"""What a pruned model would lose, by part, before anything is trained; a budget that cannot be met is an error here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..allocation.plan import amounts_in
from ..base.errors import SecateurError
from ..data.clip_index import joined
from ..data.job import JobData
from ..models.family import Config, TeacherModel, TextCodec
from ..models.groups import Group
from ..models.network import Network
from ..prune.importance import CRITERIA
from ..prune.initial_model import InitialModel
from ..prune.measured_cuts import measured_cuts_planned
from ..prune.method import METHODS, check_low_rank_method, check_sharded_method, make_method
from ..prune.sensitivity_map import read_map, unit_scores
from ..prune.settings import PruneSettings, parse_target
from ..prune.task import task_of
from ..prune.units import COSTS, UnitMethod
from ..train.auxiliary import with_auxiliary_head
from ..train.check import check_training
from ..train.settings import TrainSettings

if TYPE_CHECKING:
    from torch import Tensor

SLACK = 0.005  # of the model: cuts come in whole rows and positions


@dataclass(frozen=True)
class Preview:
    """What goes: shares of the original's cost (`measure`), parameters by part before and after what is cut first."""

    measure: str
    first: float  # share that vocabulary, contexts and inputs are
    units: float  # share that heads, FFN units, channels ... will be on top; which ones is decided while training
    lines: tuple[str, ...]
    note: str = ""  # what a user should know of the budget

    @property
    def text(self) -> str:
        """The sum, in a line."""
        both = f"{100 * (self.first + self.units):.0f} % of the {self.measure} would go"
        return f"{both}: {100 * self.first:.0f} % as rows and positions, {100 * self.units:.0f} % as units"


def preview(
    model: Network,
    text: TextCodec,
    data: JobData,
    prune: PruneSettings,
    train: TrainSettings | None,
    one_shot: bool = False,
) -> tuple[Preview, InitialModel]:
    """The preview, and the network that training starts from.

    Raises:
        SecateurError: a budget that the chosen kinds cannot meet, inputs that the network does not have.
    """
    if one_shot:
        prune = without_training(model, prune)
    languages = data.languages or sorted({u.language for u in data.training})
    initial = task_of(model.config).initial_model(model, text, data.texts(), languages, prune, train)
    initial = measured_cuts_planned(initial, prune)  # their values come from clips, when it runs
    cost = COSTS[prune.measure]
    whole, start = cost(model.config), cost(initial.model.config)
    end, units = start, {}
    if prune.plan:
        prune = replace(prune, plan="", remove=None, amounts=amounts_in(Path(prune.plan)))
    if prune.target:  # decided by measurement
        check_target(initial.model, model.config, prune)
    else:
        method = make_method(initial.model, prune, whole)
        if prune.map and isinstance(method, UnitMethod):
            check_map(method.competing(), prune)
        if isinstance(method, UnitMethod):
            end = cost(initial.model.config.shrunk(dict(method.example)))
            units = {g.name: (g.kind, g.units) for g in method.competing()}
    first = 1 - start / whole
    lines = [*_parts(model, initial.model), *_units(units)]
    measured = f"how many units go for {prune.target} is decided by measuring, when it runs" if prune.target else ""
    note = beyond(first, prune) or measured
    summary = Preview(prune.measure, first, (start - end) / whole, tuple(lines), note)
    return summary, initial


def without_training(model: Network, prune: PruneSettings) -> PruneSettings:
    """The settings of a cut that nothing heals: units that stay take over nothing, and a model that was trained on
    padded clips keeps its whole audio context."""
    if METHODS[prune.method].one_shot:  # of `refit`, the default, what stays takes over while it trains
        prune = replace(prune, method="gradual")
    return replace(prune, audio_seconds=None) if getattr(model.config, "padded", False) else prune


def check_target(model: Network, config: Config, prune: PruneSettings) -> None:
    """Refuse a target that the units of the chosen kinds cannot meet, as far as that is known without measuring.

    Raises:
        SecateurError: no units of these kinds, a map of another model, or parameters or operations that cannot go.
    """
    target, settings = parse_target(prune.target), replace(prune, target="", remove=0.0)
    share = 1 - target.value
    if target.measure == "parameters":
        settings = replace(settings, measure="parameters", remove=share)
    elif target.measure == "macs":
        settings = replace(settings, measure="macs", remove=share)
    method = make_method(model, settings, COSTS[settings.measure](config))
    assert isinstance(method, UnitMethod)
    if not method.competing():
        raise SecateurError("the model has no units of these kinds; name others (prune.kinds)")
    if prune.map:
        check_map(method.competing(), prune)


def check_map(groups: Iterable[Group], prune: PruneSettings) -> None:
    """Refuse a sensitivity map that was measured on a model with other groups.

    Raises:
        SecateurError: the first group that differs.
    """
    sensitivities, needed = read_map(prune.map), "map" in CRITERIA[prune.criterion].needs
    for group in groups:
        if needed or group.name in sensitivities.groups:
            unit_scores(sensitivities, group.name, group.units)


def rehearse(
    initial: InitialModel,
    data: JobData,
    train: TrainSettings,
    teacher: TeacherModel | None,
    prune: PruneSettings | None,
) -> None:
    """Make what training needs and drop it: whatever cannot be made is refused now, not after a control was trained.

    Raises:
        SecateurError: a teacher that cannot teach it, too few outputs for the texts, no encoder for an auxiliary head,
            updates or grids that the model cannot have.
    """
    if prune is not None:
        check_low_rank_method(prune.method, train.low_rank_updates)
        check_sharded_method(prune.method, train.shard)
    check_training(initial.model, train)
    everything = joined(data.training, data.rehearsal)
    objective = task_of(initial.model.config).objective(initial, everything, train, teacher, data.device)
    with_auxiliary_head(objective, initial.model, everything, train)


def beyond(first: float, prune: PruneSettings) -> str:
    """What to say when rows and positions alone take more than was asked for; empty where they do not."""
    free = prune.amounts or prune.target or prune.plan or prune.remove is None
    if free or first <= (prune.remove or 0.0) + SLACK:
        return ""
    return (
        f"vocabulary rows and contexts alone are {100 * first:.0f} % of the {prune.measure}, more than prune.remove "
        f"{prune.remove:g}: no other units will go. Keep more rows (--prune.frequent {4 * prune.frequent or 4000}), "
        "all (--prune.vocabulary no), or count without them (--prune.measure weights)"
    )


def _parts(before: Network, after: Network) -> list[str]:
    """Parameters of every part that is cut before training, or that a cut adds."""
    old, new = _sizes(before.state_dict()), _sizes(after.state_dict())
    cut = {name: (old[name], new.get(name, 0)) for name in old if new.get(name, 0) != old[name]}
    lines = [f"{name}: {a:,} parameters, {b:,} left ({100 * (1 - b / a):.0f} % go)" for name, (a, b) in cut.items()]
    return [*lines, *(f"{name}: {new[name]:,} parameters are added" for name in new if name not in old)]


def _sizes(state: Mapping[str, Tensor]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for name, tensor in state.items():
        part = ".".join(p for p in name.split(".") if not p.isdigit() and p not in ("weight", "bias"))
        sizes[part] = sizes.get(part, 0) + tensor.numel()
    return sizes


def _units(groups: Mapping[str, tuple[str, int]]) -> list[str]:
    """How many units of each kind compete."""
    counts: dict[str, list[int]] = {}
    for kind, units in groups.values():
        counts.setdefault(kind, []).append(units)
    return [f"{kind}: {sum(all_)} units in {len(all_)} groups compete" for kind, all_ in sorted(counts.items())]
