"""An untrained CTC model: a preset's sizes, units from the training texts, seeded weights."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch

from ...base.errors import SecateurError, nearest
from ...models.family import family_of
from ...text.units import Inventory, make_units
from ...weights.fetch import load_model
from .model import CtcModel
from .new_settings import NewModel
from .presets import PRESETS

TRUNK = "whisper"
NAMES = (*PRESETS, TRUNK)


def make_new(new: NewModel, texts: Sequence[str], language: str, seed: int) -> tuple[CtcModel, Inventory]:
    """The network with weights drawn from `seed`, and its units.

    Raises:
        SecateurError: no such preset (with the nearest), or a size that it does not have.
    """
    names = NAMES
    if new.preset not in names:
        known = ", ".join(names)
        raise SecateurError(f"new: no preset '{new.preset}'{nearest(new.preset, names)} (known: {known})")
    if bool(new.trunk) != (new.preset == TRUNK):
        raise SecateurError(f"new: new.trunk names a Whisper for the preset '{TRUNK}', which needs one; no other does")
    if new.preset == TRUNK:
        if new.layers is not None or new.width is not None:
            raise SecateurError(f"new: the preset '{TRUNK}' is as large as the encoder of '{new.trunk}'")
        return on_whisper(new.trunk, make_units(new.units, texts, language, new.pieces), seed)
    preset = PRESETS[new.preset]
    sizes: dict[str, Any] = {k: v for k, v in (("layers", new.layers), ("width", new.width)) if v is not None}
    for name in sizes:
        if name not in inspect.signature(preset).parameters:
            raise SecateurError(f"new: the preset '{new.preset}' has no '{name}' to choose")
    units = make_units(new.units, texts, language, new.pieces)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return CtcModel(preset(units.outputs, **sizes)), units


def on_whisper(name: str, units: Inventory, seed: int) -> tuple[CtcModel, Inventory]:
    """A CTC model whose trunk is the encoder of the Whisper `name`; only its output is drawn from `seed`.

    Raises:
        SecateurError: there is no such model, or it is no Whisper.
    """
    whisper, _ = load_model(name)
    trunk = family_of(whisper.config).trunk
    if trunk is None:
        raise SecateurError(f"new.trunk: '{name}' is no Whisper but of the family '{whisper.config.family}'")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = CtcModel(trunk()(units.outputs, whisper.config))
    state = {f"trunk.{n}": value for n, value in whisper.get_submodule("encoder").state_dict().items()}
    model.load_state_dict(model.state_dict() | state)
    return model, units
