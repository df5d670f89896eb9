"""Operations along axes: means and sums that take axes away, and softmax and the like, which leave them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..channels import Flow
from .call import Call


def axes_of(call: Call, axis: Any, rank: int) -> list[int]:
    """`axis` of an operation (a number, several, or None for all) as positive numbers."""
    if axis is None:
        return list(range(rank))
    return [int(a) % rank for a in (axis if isinstance(axis, Sequence) else [axis])]


def reduced(call: Call) -> list[Flow]:
    """Over frames and the like every channel by itself; over the channels, all of them stay, unless they are alike."""
    flow, shape = call.one(), call.shapes[0]
    axes = axes_of(call, call.layer.axis, flow.rank)
    if len(call.args) > 1 or any(value is not None for value in call.kwargs.values()):
        raise call.unknown("is given more than one tensor")
    if flow.axis in axes:
        if not flow.alike:
            call.net.pin(flow.ids, f"'{call.name}' puts all of them together")
        return [fixed(call, shape)]
    before = 0 if call.layer.keepdims else sum(a < flow.axis for a in axes)
    return [Flow(shape, flow.axis - before, flow.ids, flow.alike)]


def glu(call: Call) -> list[Flow]:
    """The first half times a gate from the second: a unit and its gate go together."""
    flow, shape = call.one(), call.shapes[0]
    if flow.axis not in axes_of(call, call.layer.axis, flow.rank):
        return [Flow(shape, flow.axis, flow.ids)]
    halves = np.split(call.channels(flow, flow.axis), 2)
    call.net.tie(*halves)
    return [Flow(shape, flow.axis, halves[0])]


def over_frames(call: Call) -> list[Flow]:
    """The same shape: over frames and the like every channel by itself; over the channels, all of them stay."""
    flow = call.one()
    if call.layer.axis is None:
        raise call.unknown("goes over all axes at once")
    if flow.axis in axes_of(call, call.layer.axis, flow.rank):
        call.net.pin(flow.ids, f"'{call.name}' goes over all of them")
    return [flow]


def fixed(call: Call, shape: Any) -> Flow:
    """A tensor without units, of `shape`."""
    ids = call.net.fresh(shape[-1] if len(shape) > 1 else None)
    call.net.pin(ids, f"'{call.name}' writes them from all it reads")
    return Flow(tuple(shape), max(len(shape) - 1, 0), ids)
