"""Layers that move values: followed value by value, so that channels are found again wherever they end up."""

from __future__ import annotations

import math

import numpy as np

from ..channels import Flow, Ids, Shape
from .call import Call, rule

LARGEST = 1 << 24  # values of one example


@rule("Flatten")
def flatten(call: Call) -> list[Flow]:
    """(batch, a, b) to (batch, a * b): a channel is at many places."""
    return [_refocused(call, _numbers(call, call.one()).reshape(-1), call.shapes[0])]


@rule("Reshape")
def reshape(call: Call) -> list[Flow]:
    """The values in another shape; where one channel ends up at several channels, they become one unit."""
    layer, shape = call.layer, call.shapes[0]
    numbers = _numbers(call, call.one())
    result = _refocused(call, numbers.reshape([-1 if size is None else size for size in shape[1:]]), shape)
    if layer.target_shape[result.axis - 1] != -1:
        call.net.width(call.path, "target_shape", result.ids, result.axis - 1)
    return [result]


@rule("Permute")
def permute(call: Call) -> list[Flow]:
    """Axes in another order."""
    flow, order = call.one(), (0, *call.layer.dims)
    return [Flow(call.shapes[0], order.index(flow.axis), flow.ids)]


@rule("RepeatVector")
def repeat_vector(call: Call) -> list[Flow]:
    """(batch, channels) to (batch, times, channels)."""
    return [Flow(call.shapes[0], 2, call.channels(call.one(), 1))]


def _numbers(call: Call, flow: Flow) -> Ids:
    """The channel behind every value of one example; 1 stands for a size that is not fixed."""
    if not len(flow.ids):
        raise call.unknown("reshapes an axis of no fixed size")
    sizes = [1 if size is None else size for size in flow.shape[1:]]
    if math.prod(sizes) > LARGEST:
        raise call.unknown("reshapes more values than can be followed")
    line = [-1 if axis == flow.axis else 1 for axis in range(1, flow.rank)]
    return np.broadcast_to(flow.ids.reshape(line), sizes)


def _refocused(call: Call, numbers: Ids, shape: Shape) -> Flow:
    """The axis along which the channels of `numbers` (one example) are now, from the last on."""
    for axis in range(numbers.ndim - 1, -1, -1):
        rows = np.moveaxis(numbers, axis, -1).reshape(-1, numbers.shape[axis])
        if shape[axis + 1] is not None and (rows == rows[0]).all():
            return Flow(shape, axis + 1, rows[0])
    if shape[-1] is None:
        raise call.unknown("reshapes units into an axis of no fixed size")
    rows = numbers.reshape(-1, numbers.shape[-1])
    for row in rows[1:]:
        call.net.tie(rows[0], row)
    return Flow(shape, len(shape) - 1, rows[0])
