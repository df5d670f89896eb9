"""What this toolkit can do with a model, before anything is done: what it reads, may prune, leaves as it is.

Nothing is guessed: prunable is what the network's own layers declare (`Network.groups`); a model of a family that
is not known here gets the list of its layers and the reason, and no plan.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from math import prod
from pathlib import Path

from ..base.errors import SecateurError
from ..base.tensors import read_header
from ..models.checkpoint import shapes_only
from ..models.findings import Findings, Prunable, Ungrouped, values_in
from ..models.groups import Group
from ..models.network import Network
from ..weights.cache import models_folder
from ..weights.fetch import REPOSITORY, fetch, read_foreign
from ..weights.hub import fetch_from_hub
from ..weights.json_values import read_table
from ..weights.named import known_models

Shape = tuple[int, ...]
NO_WHY = "no layer declares units in it"


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
        name,
        model.config.family,
        sum(map(prod, shapes.values())),
        tuple(_prunable(groups, shapes)),
        tuple(_ungrouped({n: s for n, s in shapes.items() if n not in touched}, model.ungrouped())),
    )


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


def _ungrouped(shapes: Mapping[str, Shape], reasons: Mapping[str, str]) -> Iterable[Ungrouped]:
    """Parameters with the same pattern of names, and the first reason whose pattern fits."""
    from fnmatch import fnmatchcase

    alike: dict[str, list[Shape]] = {}
    for name, shape in shapes.items():
        alike.setdefault(_pattern(name), []).append(shape)
    for name, some in alike.items():
        why = next((why for pattern, why in reasons.items() if fnmatchcase(name, pattern)), NO_WHY)
        yield Ungrouped(name, len(some), sum(map(prod, some)), why)
