"""What this toolkit can do with a model, before anything is done: what it reads, may prune, leaves as it is.

Nothing is guessed: prunable is what the network's own layers declare (`Network.groups`); a model of a family that
is not known here gets the list of its layers and the reason, and no plan.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

from ..base.errors import SecateurError
from ..models.checkpoint import shapes_only
from ..models.groups import Group, Place
from ..models.network import Network
from ..weights.cache import models_folder
from ..weights.fetch import REPOSITORY, fetch, read_foreign
from ..weights.header import read_header
from ..weights.hub import fetch_from_hub
from ..weights.json_values import read_table
from ..weights.registry import known_models

Shape = tuple[int, ...]
NO_WHY = "no layer declares units in it"


@dataclass(frozen=True)
class Prunable:
    """Groups of one kind whose names differ only in layer numbers."""

    name: str  # layer numbers as *
    kind: str
    groups: int
    units: int  # of all these groups together
    parameters: int  # that live in these units
    layers: tuple[str, ...] = ()  # whose units go together, where they are of several
    removed: int = 0  # units that a plan removes


@dataclass(frozen=True)
class Ungrouped:
    """Parameters whose names differ only in layer numbers, in which nothing may go."""

    name: str
    tensors: int
    parameters: int
    why: str


@dataclass(frozen=True)
class Findings:
    """The doctor's report; `problem` says why nothing at all can be pruned, where that is so."""

    model: str
    family: str  # ours, or the foreign `model_type`
    parameters: int
    prunable: tuple[Prunable, ...] = ()
    whole: tuple[Ungrouped, ...] = ()
    problem: str = ""

    def __str__(self) -> str:
        """What may go, then what may not, a line each."""
        total = self.parameters
        lines = [f"{self.model}: family {self.family}, {total:,} values"]
        if self.problem:
            lines += ["nothing can be pruned:", f"  {self.problem}"]
        if self.prunable:
            lines.append("may go:")
        for one in self.prunable:
            share = 100 * one.parameters / max(total, 1)
            units = f"{one.units:7} units ({one.kind}) in {one.groups} group(s)"
            plan = f", {one.removed} would go" if any(other.removed for other in self.prunable) else ""
            lines.append(f"  {one.name:58} {units}, {share:.1f} %{plan}")
            if len(one.layers) > 1:
                lines.append(f"    together: {', '.join(one.layers)}")
        if self.whole:
            lines.append("what is in it:" if self.problem else "stays whole:")
        for why in dict.fromkeys(one.why for one in self.whole):
            some = [one for one in self.whole if one.why == why]
            lines.append(f"  {sum(one.parameters for one in some):,} values: {why}")
            lines += [f"    {one.name} ({one.parameters:,} in {one.tensors})" for one in some]
        return "\n".join(lines)


def examine(name: str) -> Findings:
    """What can be done with a model folder, a known name, or owner/name on the hub; nothing is written to its folder.

    Raises:
        SecateurError: there is no such model.
    """
    folder = _folder(name)
    if (folder / "export.json").is_file():
        source = read_table(folder / "export.json").get("source")
        problem = f"exported graphs are not pruned: prune the checkpoint they were made of ('{source}'), then export"
        return Findings(name, "onnx", 0, problem=problem)
    if folder.is_dir() and not (folder / "config.json").is_file() and not (folder / "model.bin").is_file():
        raise SecateurError(f"{folder}: no model here (no config.json)")
    try:
        with shapes_only():
            model, _ = read_foreign(folder)
    except SecateurError as problem:
        return _stranger(name, folder, str(problem))
    return findings(name, model)


def findings(name: str, model: Network) -> Findings:
    """What a network's own declarations say."""
    shapes = {n: tuple(p.shape) for n, p in model.state_dict().items()}
    groups = model.groups()
    # A whole layer takes everything with it; what stays whole is what no smaller unit is in.
    touched = {place.parameter for group in groups if group.kind not in ("layer", "branch") for place in group.places}
    return Findings(
        name, model.config.family, sum(map(prod, shapes.values())), tuple(_prunable(groups, shapes)),
        tuple(_ungrouped({n: s for n, s in shapes.items() if n not in touched}, model.ungrouped())),
    )  # fmt: skip


def _folder(name: str) -> Path:
    """Where the model's files are, as they were published where they can be had so."""
    path = Path(name).expanduser()
    if path.exists() or name in known_models():
        return path if path.exists() and name not in known_models() else fetch(name)
    if REPOSITORY.fullmatch(name):
        cached = models_folder() / name.replace("/", "--")
        return cached if cached.is_dir() else fetch_from_hub(name)
    return fetch(name)  # which says what is wrong


def _stranger(name: str, folder: Path, problem: str) -> Findings:
    """A model that cannot be read here: its layers by name and size, from its files alone."""
    values = read_table(folder / "config.json", optional=True)
    shapes: dict[str, Shape] = {}
    for file in sorted(folder.glob("*.safetensors")):
        shapes |= {n: tuple(tensor.shape) for n, tensor in read_header(file).items()}
    kind = str(values.get("model_type", values.get("family", "unknown")))
    whole = tuple(_ungrouped(shapes, {"*": "the model cannot be read, so nothing is known of it"}))
    return Findings(name, kind, sum(map(prod, shapes.values())), (), whole, problem)


def _pattern(name: str) -> str:
    return re.sub(r"(?<=\.)\d+(?=\.|$)", "*", name)


def _prunable(groups: Iterable[Group], shapes: Mapping[str, Shape]) -> Iterable[Prunable]:
    """Groups with the same pattern of names, together, in their order."""
    alike: dict[tuple[str, str], list[Group]] = {}
    for group in groups:
        alike.setdefault((_pattern(group.name), group.kind), []).append(group)
    for (name, kind), some in alike.items():
        inside = sum(values_in(place, group.units, shapes[place.parameter]) for group in some for place in group.places)
        yield Prunable(name, kind, len(some), sum(group.units for group in some), inside)


def values_in(place: Place, units: int, shape: Shape) -> int:
    """Values of a parameter of `shape` that belong to the units."""
    if place.unit is not None and place.start is None:
        return prod(shape)
    lines = place.width * (units if place.unit is None else 1)
    return prod(shape) // shape[place.dim] * lines


def _ungrouped(shapes: Mapping[str, Shape], reasons: Mapping[str, str]) -> Iterable[Ungrouped]:
    """Parameters with the same pattern of names, and the first reason whose pattern fits."""
    from fnmatch import fnmatchcase

    alike: dict[str, list[Shape]] = {}
    for name, shape in shapes.items():
        alike.setdefault(_pattern(name), []).append(shape)
    for name, some in alike.items():
        why = next((why for pattern, why in reasons.items() if fnmatchcase(name, pattern)), NO_WHY)
        yield Ungrouped(name, len(some), sum(map(prod, some)), why)
