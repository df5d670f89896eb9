"""Operations along axes (means and sums, softmax), and layers with several inputs.

Residual additions tie channels, concatenation puts them side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..channels import Flow
from .call import Call, rule


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


@rule("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum")
def unit_by_unit(call: Call) -> list[Flow]:
    """The same channels of all inputs go together. One value for all channels (broadcasting) stays."""
    return [merged(call, call.all())]


def merged(call: Call, flows: list[Flow]) -> Flow:
    """`flows` of one shape, or broadcast to the longest, tied channel by channel."""
    net, shape = call.net, call.shapes[0]
    if not shape:
        return Flow(shape, 0, net.fresh(0))
    first = next((f for f in flows if f.rank == len(shape) and not net.stays(f.ids)), max(flows, key=lambda f: f.rank))
    axis = first.axis + len(shape) - first.rank
    alike = all(flow.alike or flow.shape[axis - len(shape)] == 1 for flow in flows if flow.rank >= len(shape) - axis)
    result: Flow | None = None
    for flow in flows:
        if flow.axis + len(shape) - flow.rank != axis or len(flow.ids) != shape[axis]:
            net.pin(flow.ids, f"'{call.name}' broadcasts it, or reads another axis than that of the other inputs")
            if flow.rank < len(shape) - axis or flow.shape[axis - len(shape)] in (1, None):
                continue
            flow = Flow(shape, axis, call.channels(flow, axis - len(shape)))
        if result is None:
            result = Flow(shape, axis, flow.ids, alike)
        else:
            net.tie(result.ids, flow.ids)
    return result or net.whole(flows[0], shape, len(shape) - 1, f"'{call.name}' broadcasts all its inputs")


@rule("Concatenate")
def concatenate(call: Call) -> list[Flow]:
    """Along the channels: side by side. Along another axis: the same channels of all inputs go together."""
    net, flows, shape = call.net, call.all(), call.shapes[0]
    axis = call.layer.axis % flows[0].rank
    alike = all(flow.alike for flow in flows)
    loose = next((flow.axis for flow in flows if not net.stays(flow.ids)), flows[0].axis)
    parts = [call.channels(flow, loose) for flow in flows]  # those on another axis stay whole
    if loose == axis:
        if any(not len(ids) for ids in parts):
            raise call.unknown("joins along an axis of no fixed size")
        return [Flow(shape, axis, np.concatenate(parts), alike)]
    for ids in parts[1:]:
        net.tie(parts[0], ids)
    return [Flow(shape, loose, parts[0], alike)]


@rule("Dot")
def dot(call: Call) -> list[Flow]:
    """Products summed over one axis of both inputs: where that has units, they go together."""
    net, (first, second), shape = call.net, call.all(), call.shapes[0]
    axes = call.layer.axes
    one, two = (axes, axes) if isinstance(axes, int) else axes
    if (first.axis, second.axis) == (one % first.rank, two % second.rank) and len(first.ids) == len(second.ids):
        net.tie(first.ids, second.ids)
    else:
        for flow in (first, second):
            net.pin(flow.ids, f"'{call.name}' multiplies them along another axis")
    return [fixed(call, shape)]
