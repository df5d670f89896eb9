"""Input pruning before training: a lower sample rate, a longer frame shift, fewer derivatives.

Single inputs (mel bins, coefficients) are units of a group like any other and are ranked, masked and removed with them.
These three change the front-end, so they are applied at once, by surgery after which the network computes nearly the
same: filters keep their centres, kernels and positions are interpolated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..base.errors import SecateurError
from ..features.front_end import FrontEnd
from ..features.rates import resampled, spaced
from ..models.checkpoint import assign_weights
from ..models.frame_merging import MergingConfig, parse_merges
from ..models.groups import TimeAxis
from ..models.network import without_values
from .settings import PruneSettings
from .shrink import Net, shrink


def cut_inputs(model: Net, settings: PruneSettings) -> Net:
    """`model` with `sample_rate`, `frame_shift_ms` and `deltas` as the settings say; `model` itself when none is set.

    Raises:
        SecateurError: a front-end that the model cannot have.
    """
    if settings.sample_rate is not None:
        model = at_sample_rate(model, settings.sample_rate)
    if settings.frame_shift_ms is not None:
        model = at_frame_shift(model, settings.frame_shift_ms)
    if settings.deltas is not None:
        model = with_deltas(model, settings.deltas)
    if settings.merge_frames:
        model = with_merged_frames(model, settings.merge_frames, settings.merge_kind)
    return model


def at_sample_rate(model: Net, sample_rate: int) -> Net:
    """The network for audio at a lower rate: inputs whose filters lie above half of it are removed.

    Raises:
        SecateurError: see `features.rates.resampled`; a network whose inputs cannot be removed.
    """
    before: FrontEnd = model.config.front_end
    after = resampled(before, sample_rate)
    if after == before:
        return model
    return _with_inputs(model, after, "sample_rate")


def with_deltas(model: Net, order: int) -> Net:
    """The network without the derivatives above `order` (0: none, 1: deltas).

    Raises:
        SecateurError: features that have no derivatives, or not so many.
    """
    before: FrontEnd = model.config.front_end
    if before.deltas < order or order < 0:
        raise SecateurError(f"deltas: the model's features have derivatives up to order {before.deltas}, not {order}")
    if before.deltas == order:
        return model
    kept = tuple(d for d in before.reads if d // before.statics <= order)
    if not kept:
        raise SecateurError(f"deltas: the model reads nothing of order {order} or below")
    complete = len(kept) == before.statics * (1 + order)
    return _with_inputs(model, replace(before, kept=None if complete else kept, deltas=order), "deltas")


def _with_inputs(model: Net, after: FrontEnd, setting: str) -> Net:
    """The network that reads only those of its inputs that `after` still gives."""
    before: FrontEnd = model.config.front_end
    units = [before.reads.index(column) for column in after.reads]
    keep = {}
    if len(units) < before.inputs:
        names = [g.name for g in model.groups() if g.kind in ("mel", "input")]
        if not names:
            raise SecateurError(
                f"{setting}: '{model.config.name}' reads its features as a picture (subsampling) and cannot lose any"
            )
        keep = {names[0]: units}
    small = shrink(model, keep)
    small.config = replace(small.config, front_end=after)
    return small


@torch.no_grad()
def with_merged_frames(model: Net, merges: Sequence[str], kind: str = "mean") -> Net:
    """The network whose encoder merges neighbouring frames after the layers that `merges` name ("0:2"), see
    `models.frame_merging`, by `kind` (mean, learned, similar); every other weight is the same.

    Raises:
        SecateurError: a family whose encoder cannot merge frames, or merges that its layers do not have.
    """
    config: Any = model.config
    if not isinstance(config, MergingConfig):
        raise SecateurError(f"merge_frames: a model of the family '{config.family}' cannot merge frames in its encoder")
    if config.frame_merging:
        raise SecateurError(f"merge_frames: '{model.config.name}' merges frames already")
    if not config.merge_layers:
        raise SecateurError("merge_frames: this network has no layers after which frames could be merged")
    factors = parse_merges(merges, len(config.merge_layers), kind == "similar")
    try:
        after = config.merging(factors, kind)
    except ValueError as problem:
        raise SecateurError(f"merge_frames: {problem}") from problem
    small = type(model)(after)
    small.load_state_dict(model.state_dict(), strict=False)  # only trained merges are new, and begin as means
    small.dropout.p = model.dropout.p
    return small.to(next(model.parameters()).device).train(model.training)


@torch.no_grad()
def at_frame_shift(model: Net, frame_ms: float) -> Net:
    """The network for a longer frame shift; contexts keep their length in seconds.

    A kernel's taps fall between the new frames: they are shared out to their two neighbours, which is exact for
    features that are straight lines between frames. Positions and distances are read off between the old ones.

    Raises:
        SecateurError: see `features.rates.spaced`.
    """
    before: FrontEnd = model.config.front_end
    after = spaced(before, frame_ms)
    if after == before:
        return model
    ratio = after.frame_ms / before.frame_ms
    state = {name: value.clone() for name, value in model.state_dict().items()}
    with without_values():
        small = type(model)(model.config.with_front_end(after))
    shapes = {name: value.shape for name, value in small.state_dict().items()}
    for axis in model.time_axes():
        state[axis.parameter] = _resampled(state[axis.parameter], axis, ratio, shapes[axis.parameter][axis.dim])
    assign_weights(small, state)
    small.dropout.p = model.dropout.p
    return small.train(model.training)


def _resampled(values: Tensor, axis: TimeAxis, ratio: float, positions: int) -> Tensor:
    """`values` as they are for frames `ratio` times as far apart, when `positions` are left."""
    length = values.shape[axis.dim]
    if axis.kind == "position":
        sampled_at = torch.arange(positions, dtype=torch.float64) * ratio
    else:
        middle = length // 2
        sampled_at = (torch.arange(length, dtype=torch.float64) - middle) * ratio + middle
        if axis.kind == "distance":
            sampled_at = sampled_at.clamp(0, length - 1)
    old = torch.arange(length, dtype=torch.float64)
    if axis.kind == "kernel":  # old tap i lies at i / ratio of the new frames
        shares = (1 - (sampled_at - old[:, None]).abs() / ratio).clamp_min(0)
    else:
        shares = (1 - (sampled_at - old[:, None]).abs()).clamp_min(0)
    moved = values.double().movedim(axis.dim, -1) @ shares.to(values.device)
    return moved.movedim(-1, axis.dim).to(values.dtype).contiguous()
