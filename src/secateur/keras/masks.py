"""Masks: zeros where a removed unit is, in every variable that makes or reads it."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..base.extras import require
from ..prune.budget import Keep
from ..prune.places import parameter_masks
from .copies import described, paired, rebuilt, settled
from .structure import Structure

if TYPE_CHECKING:
    from keras import Model, Variable

Masks = dict[str, NDArray[np.float32]]  # by variable; broadcast over it


def masks_of(structure: Structure, keep: Keep) -> Masks:
    """The masks of a plan."""
    kept = {}
    for group in structure.groups:
        if group.name in keep:
            kept[group.name] = np.zeros(group.units, np.float32)
            kept[group.name][keep[group.name]] = 1
    shapes = {name: tuple(use.variable.shape) for name, use in structure.channels.uses.items()}
    return parameter_masks(structure.groups, kept, shapes)


def apply(variables: Mapping[str, Variable], masks: Mapping[str, object]) -> None:
    """Zero in place."""
    for name, mask in masks.items():
        variables[name].assign(variables[name].value * mask)


def fetch(model: Model) -> None:
    """While `fit` of JAX runs, it keeps values outside of the variables: put them there, and read them again after."""
    sync = getattr(model, "jax_state_sync", None)
    if sync is not None:
        sync()


def masked_model(model: Model, structure: Structure, keep: Keep) -> Model:
    """A model of the same shape with zeros; computes what the shrunk one computes. Not compiled."""
    copy = rebuilt(model, deepcopy(described(model, structure.call)))
    names = structure.channels.names
    pairs = paired(model, copy)
    for old, new in pairs:
        new.assign(old.value)
    convert = require("keras", "keras").ops.convert_to_tensor
    masks = masks_of(structure, keep)
    variables = {names[id(old)]: new for old, new in pairs}
    apply(variables, {name: convert(mask, variables[name].dtype) for name, mask in masks.items()})
    return settled(copy)
