"""What would be pruned of a Keras model, which layers' units go together, what stays whole, and why."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.errors import several
from ..base.extras import require
from ..models.findings import Findings, Prunable, Ungrouped
from ..models.groups import Group
from .channels import UnknownLayerError
from .inputs import check_model
from .options import Options, any_matches
from .plan import Planner
from .saved import read_model
from .structure import Structure, structure_of

if TYPE_CHECKING:
    from keras import Model

NO_UNITS = "its layer has no units that go"


def doctor(
    model: Model, amount: float | None = None, *, only: Sequence[str] = (), exclude: Sequence[str] = ()
) -> Findings:
    """The groups of a built model with the layers whose units go together, and every variable that stays whole.

        print(secateur.keras.doctor(model, 0.5))

    With an `amount` each group also says how many units would go, by magnitude. Nothing is changed.

    Raises:
        SecateurError: a model that is not built or was never called; an amount that cannot be.
    """
    backend = str(require("keras", "keras").backend.backend())
    several("only", only), several("exclude", exclude)
    check_model(model)
    total = sum(prod(variable.shape) for variable in model.weights)
    problem = ""
    try:
        structure = structure_of(model, lambda name: any_matches(name, exclude))
    except UnknownLayerError as unknown:
        problem = str(unknown)
        structure = structure_of(model, lambda name: any_matches(name, exclude), lenient=True)
    removed: dict[str, int] = {}
    if amount is not None and not problem:
        planner = Planner(model, Options(amount, only=only, exclude=exclude))
        sizes = {group.name: group.units for group in planner.groups}
        removed = {name: sizes[name] - len(kept) for name, kept in planner.advance(1.0).items()}
    groups = tuple(_prunable(structure, group, removed) for group in structure.groups)
    inside = {place.parameter for group in structure.groups for place in group.places}
    whole = tuple(_whole(model, structure, inside))
    return Findings(model.name, f"Keras on {backend}", total, () if problem else groups, whole, problem)


def examine_file(path: Path) -> Findings:
    """The findings of a .keras file.

    Raises:
        SecateurError: no such file, or one that Keras does not read here.
    """
    return doctor(read_model(path))


def _prunable(structure: Structure, group: Group, removed: dict[str, int]) -> Prunable:
    inside = int(structure.parameters() - structure.shrunk({group.name: []}).parameters())  # each value once
    layers = structure.layers[group.name]
    return Prunable(group.name, group.kind, 1, group.units, inside, layers, removed.get(group.name, 0))


def _whole(model: Model, structure: Structure, inside: set[str]) -> Any:
    """Every variable of which nothing goes, by layer, with the reason that is known of it."""
    net = structure.channels
    reasons = {**structure.whole, **net.left}
    layers: dict[str, list[str]] = {}
    names = {id(variable): name for name, use in net.uses.items() for variable in (use.variable,)}
    paths = {id(one): one.path for one in model.weights}
    for variable in model.weights:
        if names.get(id(variable)) in inside:
            continue
        layers.setdefault(paths[id(variable)].rpartition("/")[0] or model.name, []).append(paths[id(variable)])
    sizes = {one.path: prod(one.shape) for one in model.weights}
    for layer, some in layers.items():
        why = next((why for name, why in reasons.items() if layer == name or name.endswith(f"/{layer}")), "")
        why = why or next((why for name, why in reasons.items() if any_matches(layer, [name])), NO_UNITS)
        yield Ungrouped(layer, len(some), sum(sizes[path] for path in some), why)
