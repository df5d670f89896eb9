"""Layers with several inputs: residual additions tie channels, concatenation puts them side by side."""

from __future__ import annotations

import numpy as np

from ..channels import Flow
from .call import Call, rule


@rule("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum")
def unit_by_unit(call: Call) -> list[Flow]:
    """The same channels of all inputs go together. One value for all channels (broadcasting) stays."""
    return [merged(call, call.all())]


def merged(call: Call, flows: list[Flow]) -> Flow:
    """`flows` of one shape, or broadcast to the longest, tied channel by channel."""
    net, shape = call.net, call.shapes[0]
    found: Flow | None = None
    for flow in flows:
        axis = len(shape) - 1 if flow.axis == flow.rank - 1 else flow.axis
        if flow.rank != len(shape) and flow.axis != flow.rank - 1:
            raise call.unknown("broadcasts an axis before the channels")
        if len(flow.ids) != shape[axis]:
            net.pin(flow.ids, f"'{call.name}' broadcasts it")
        elif found is None:
            found = Flow(shape, axis, flow.ids)
        elif found.axis != axis:
            raise call.unknown("puts together tensors whose channels are on different axes")
        else:
            net.tie(found.ids, flow.ids)
    return found or net.whole(flows[0], shape, len(shape) - 1, f"'{call.name}' broadcasts all its inputs")


@rule("Concatenate")
def concatenate(call: Call) -> list[Flow]:
    """Along the channels: side by side. Along another axis: the same channels of all inputs go together."""
    net, flows, shape = call.net, call.all(), call.shapes[0]
    axis = call.layer.axis % flows[0].rank
    if len({flow.axis for flow in flows}) > 1:
        raise call.unknown("puts together tensors whose channels are on different axes")
    if flows[0].axis == axis:
        if any(not len(flow.ids) for flow in flows):
            raise call.unknown("joins along an axis of no fixed size")
        return [Flow(shape, axis, np.concatenate([flow.ids for flow in flows]))]
    for flow in flows[1:]:
        net.tie(flows[0].ids, flow.ids)
    return [Flow(shape, flows[0].axis, flows[0].ids)]
