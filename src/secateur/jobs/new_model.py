"""A CTC model from nothing: a preset's sizes, units from the training texts, seeded weights."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..base.errors import SecateurError, nearest
from ..models.ctc.model import CtcModel
from ..models.ctc.presets import PRESETS
from ..text.units import Inventory, Kind, make_units


@dataclass(frozen=True)
class NewModel:
    """What is built when there is no model to start from; without a `preset`, nothing is."""

    preset: str = ""  # conformer, bigru, bilstm, googlenet, digits
    units: Kind = "characters"
    pieces: int = 256  # with units = "pieces": how many
    layers: int | None = None  # layers or blocks, when not the preset's
    width: int | None = None  # of a layer or branch, when not the preset's


def make_new(new: NewModel, texts: Sequence[str], language: str, seed: int) -> tuple[CtcModel, Inventory]:
    """The network with weights drawn from `seed`, and its units.

    Raises:
        SecateurError: no such preset (with the nearest), or a size that it does not have.
    """
    if new.preset not in PRESETS:
        known = ", ".join(PRESETS)
        raise SecateurError(f"new: no preset '{new.preset}'{nearest(new.preset, PRESETS)} (known: {known})")
    preset = PRESETS[new.preset]
    sizes: dict[str, Any] = {k: v for k, v in (("layers", new.layers), ("width", new.width)) if v is not None}
    for name in sizes:
        if name not in inspect.signature(preset).parameters:
            raise SecateurError(f"new: the preset '{new.preset}' has no '{name}' to choose")
    units = make_units(new.units, texts, language, new.pieces)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return CtcModel(preset(units.outputs, **sizes)), units
