"""Wrappers of one layer, which is followed inside of them."""

from __future__ import annotations

from collections.abc import Callable

from ..channels import Flow
from .call import Call

Inner = Callable[[Call], list[Flow]]


def distributed(call: Call, inner: Inner) -> list[Flow]:
    """The same layer for every frame: (batch, frames, ...) as if frames were batches."""
    flow, layer, shape = call.one(), call.layer.layer, call.shapes[0]
    if flow.axis < 2 or len(call.shapes) != 1:
        raise call.unknown("has no axis of channels after that of time")
    frame = Flow((flow.shape[0], *flow.shape[2:]), flow.axis - 1, flow.ids)
    out = inner(Call(layer, (*call.path, "@layer"), (frame,), {}, [(shape[0], *shape[2:])], call.net))[0]
    return [Flow(shape, out.axis + 1, out.ids)]


def spectral(call: Call, inner: Inner) -> list[Flow]:
    """A layer whose kernel training divides by its largest singular value; the estimate (1, last axis of the kernel)
    goes with the kernel."""
    layer = call.layer.layer
    result = inner(Call(layer, (*call.path, "@layer"), (call.one(),), {}, call.shapes, call.net))
    dims = call.net.uses[call.net.names[id(call.layer.kernel)]].dims
    last = len(call.layer.kernel.shape) - 1
    call.net.bind(call.layer.vector_u, *([(1, dims[last])] if last in dims else []), masked=False)
    return result


WRAPPERS = {"TimeDistributed": distributed, "SpectralNormalization": spectral}
