"""`prune`: a smaller Keras model in one call."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from ..prune.sensitivity_map import SensitivityMap
from .data import Data
from .latency import within_latency
from .masks import masked_model
from .options import Options
from .plan import Planner
from .refit import refitted
from .shrink import recompiled, shrunk_model
from .sparse import SparsePlanner, sparse_model

if TYPE_CHECKING:
    from keras import Model


def prune(
    model: Model,
    amount: float | str | Mapping[str, float] | None = None,
    *,
    criterion: str = "magnitude",
    data: Data | None = None,
    mode: str = "shrink",
    only: Sequence[str] = (),
    exclude: Sequence[str] = (),
    protect: float = 0.9,
    batch_size: int = 64,
    seed: int = 0,
    measured: SensitivityMap | str | Path | None = None,
    threshold: float = 0.0,
    inputs: bool = False,
    round_to: int = 1,
    budget: str = "parameters",
    pattern: str = "units",
    refit: bool = False,
) -> Model:
    """A new Keras model without the units that matter least. The model itself stays as it is.

    It is compiled as `model` is, with what is left of the optimizer's moments, so that `fit` goes on.

    Whole units go, so the layers are smaller and every runtime is faster: units of dense and recurrent layers, filters,
    heads and their dimensions. It takes no training; to prune while the model learns, give `fit` a `Pruner`.

    Args:
        model: built; sequential, functional or subclassed, nested as it may be. Layers of other classes are followed
            into their `call`, where that is made of Keras layers and operations, and keep their class (`load` reads
            such a model), as do models whose class makes its graph (KerasHub's tasks); `register` teaches others.
        amount: share of all parameters that goes, from 0 to below 1, 0.5 unless given; or by layer name or kind
            ("unit", "conv", "head", "query_key", "value"), with `*` and `?`, the share of its units, such as
            `{"conv*": 0.3, "dense1": 0.5}`; or "zeros": all units that are zero already (L1, `GroupLasso`, masks),
            which changes nothing.
        criterion: "magnitude", "taylor", "signed", "wanda", "sensitivity" or "random" (`secateur.prune.importance`).
        data: for the criteria that look at data: `(inputs, targets)` or `(inputs, targets, weights)` as `fit` takes
            them, or any iterable of such batches (tf.data, PyDataset, a DataLoader, a generator). Inputs alone will do
            for "wanda"; taylor and signed need targets and a compiled model. Lists of recordings of different lengths
            are padded with zeros.
        mode: "shrink" removes units physically; "mask" zeroes them, also in models with layers that no rule knows.
        only: patterns of names of the layers that may lose units; all unless given.
        exclude: patterns of names of the layers that keep all their units; a layer that no rule knows has to be here.
        protect: no group loses more than this share of its units, when `amount` is one share of the parameters.
        batch_size: of `data`, where it is arrays.
        seed: of random scores.
        measured: for the criterion "sensitivity": the map of `secateur.keras.sensitivity`, or its file.
        threshold: with "zeros": the largest absolute weight that counts as zero.
        inputs: whether features of the model's inputs (their last axis) may go too, kind "input"; those that stay are
            in the new model's `kept_inputs`, by the name of the input.
        round_to: units that stay are a multiple of this in every group, unless all stay.
        budget: what one share is of: "parameters", "macs" (multiply-accumulates of one example) or "latency" (measured
            time of one example of `data`, or of random numbers, on this machine).
        pattern: "units"; or what becomes zero inside kernels that keep their shape: "unstructured" single weights,
            blocks of inputs x outputs such as "4x4", or N:M such as "2:4" (of every 4 consecutive inputs of an output 2
            stay). `amount` is then the share of every kernel's weights, also by layer; N:M needs none.
        refit: whether what stays takes over from what goes, by least squares on the inputs of `data`: dense layers,
            convolutions over one axis and recurrent inputs that read removed units.

    Raises:
        SecateurError: a layer or model that cannot be followed (with what stops it), a name that matches nothing, an
            amount that cannot be reached.
    """
    options = Options(
        amount, criterion, data, only, exclude, protect, mode, batch_size, seed, measured, threshold,
        inputs, round_to, budget, pattern, refit,
    )  # fmt: skip
    if pattern != "units":
        sparse = SparsePlanner(model, options)
        sparse.advance(1.0)
        return recompiled(model, sparse_model(sparse))
    if budget == "latency":
        planner, saved = within_latency(model, options)
        word = planner.word(options, saved)
    else:
        planner = Planner(model, options)
        planner.advance(1.0)
        word = planner.word()
    if word:
        warnings.warn(word, stacklevel=2)
    keep = planner.keep
    with refitted(model, planner.structure, planner.pruned, planner.data) if refit and planner.data else nullcontext():
        small = masked_model(model, planner.structure, keep) if mode == "mask" else shrunk_model(model, planner.pruned)
    if inputs:
        kinds = {group.name: group for group in planner.groups if group.kind == "input"}
        small.kept_inputs = {name: keep.get(name, list(range(group.units))) for name, group in kinds.items()}
    return recompiled(model, small, planner.pruned if mode == "shrink" else planner.structure)
