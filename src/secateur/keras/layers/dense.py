"""Dense, embedding and convolution layers: their units are what they write, and go with their kernel's last axis."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ..channels import Flow, Ids
from .call import Call, rule
from .low_rank import bind_low_rank, own_kernel

if TYPE_CHECKING:
    from keras import Layer


@rule("Dense")
def dense(call: Call) -> list[Flow]:
    """Kernel (inputs, units), bias (units,)."""
    layer, net, flow = call.layer, call.net, call.one()
    units, read = net.new(layer, call.path, layer.units, "unit"), call.channels(flow, -1)
    net.bind(own_kernel(layer), (0, read), (1, units), reads=[0], reader=(layer, 0))
    bind_low_rank(net, layer, [(0, read)], units)
    net.bind(layer.bias, (0, units))
    net.width(call.path, "units", units)
    call.activation(layer.activation, units)
    return [Flow(call.shapes[0], flow.rank - 1, units)]


@rule("EinsumDense")
def einsum_dense(call: Call) -> list[Flow]:
    """A dense layer written as "abc,cd->abd"; of kernels of more dimensions, such as "abc,cde->abde", only those that
    multiply the inputs' last axis go."""
    layer, net, flow = call.layer, call.net, call.one()
    read, kernel, written = "".join(layer.equation.replace("...", "0").split()).replace("->", ",").split(",")
    if len(kernel) != 2 or read[-1] != kernel[0] or written[:-1] != read[:-1] or written[-1] != kernel[1]:
        return _many_axes(call, read[-1], kernel, written)
    units, inputs = net.new(layer, call.path, layer.kernel.shape[1], "unit"), call.channels(flow, -1)
    net.bind(own_kernel(layer), (0, inputs), (1, units), reads=[0], reader=(layer, 0))
    bind_low_rank(net, layer, [(0, inputs)], units)
    if layer.bias is not None:
        if len(layer.bias.shape) != 1:
            raise call.unknown("has a bias of several axes")
        net.bind(layer.bias, (0, units))
    sizes = layer.partial_output_shape
    net.width(call.path, "output_shape", units, len(sizes) - 1 if isinstance(sizes, list | tuple) else None)
    call.activation(layer.activation, units)
    return [Flow(call.shapes[0], flow.rank - 1, units)]


def _many_axes(call: Call, last: str, kernel: str, written: str) -> list[Flow]:
    """The outputs stay as they are; `last` is the letter of the inputs' last axis."""
    layer, net, flow = call.layer, call.net, call.one()
    if (
        kernel.count(last) != 1
        or last in written
        or flow.axis != flow.rank - 1
        or getattr(layer, "lora_enabled", False)
    ):
        raise call.unknown(f"computes {layer.equation}, which is no dense layer over the last axis")
    axis = kernel.index(last)
    reader = None if axis else (layer, 0)
    net.bind(own_kernel(layer), (axis, call.channels(flow, -1)), reads=[axis], reader=reader)
    net.bind(layer.bias)
    ids = net.fresh(call.shapes[0][-1])
    net.pin(ids, f"'{call.name}' computes {layer.equation}, whose outputs are no units")
    return [Flow(call.shapes[0], len(call.shapes[0]) - 1, ids)]


@rule("ReversibleEmbedding")
def reversible_embedding(call: Call) -> list[Flow]:
    """Tokens to dimensions, and with the same table back to tokens."""
    layer, net, flow = call.layer, call.net, call.one()
    back = call.given("reverse", 1)
    net.one_way[id(layer)] = net.one_way.get(id(layer), True) and not back
    if not layer.tie_weights:  # a table of its own for the way back: (dimensions, tokens)
        net.bind(layer.reverse_embeddings, (0, net.new(layer, call.path, layer.output_dim, "unit")))
    if back:
        table, axis = (layer.embeddings, 1) if layer.tie_weights else (layer.reverse_embeddings, 0)
        net.bind(table, (axis, call.channels(flow, -1)))
        ids = net.fresh(layer.input_dim)
        net.pin(ids, f"'{call.name}' writes tokens")
        return [Flow(call.shapes[0], flow.rank - 1, ids)]
    return embedding(call)


@rule("Embedding")
def embedding(call: Call) -> list[Flow]:
    """Table (tokens, dimensions): dimensions go, tokens stay."""
    layer, net = call.layer, call.net
    flow = call.one()
    net.pin(flow.ids, f"'{call.name}' reads them as numbers of tokens")
    units = net.new(layer, call.path, layer.output_dim, "unit")
    net.bind(own_kernel(layer), (1, units))
    bind_low_rank(net, layer, [], units)
    net.width(call.path, "output_dim", units)
    return [Flow(call.shapes[0], flow.rank, units)]


def channel_axis(layer: Layer, rank: int) -> int:
    """Where a layer with a data format has its channels."""
    return 1 if getattr(layer, "data_format", None) == "channels_first" else rank - 1


def convolution(transposed: bool) -> Callable[[Call], list[Flow]]:
    """Kernel (taps..., inputs, filters), or (taps..., filters, inputs) when transposed; bias (filters,)."""

    def follow(call: Call) -> list[Flow]:
        layer, net, flow = call.layer, call.net, call.one()
        axis = channel_axis(layer, flow.rank)
        read, last = call.channels(flow, axis), len(layer.kernel.shape) - 1
        units = net.new(layer, call.path, layer.filters, "conv")
        if getattr(layer, "groups", 1) > 1:
            grouped(call, read, units)
        else:
            reads, writes = (last, last - 1) if transposed else (last - 1, last)
            net.bind(own_kernel(layer), (reads, read), (writes, units), reads=[reads], reader=(layer, 0))
            bind_low_rank(net, layer, [(reads, read)], units)
        net.bind(layer.bias, (0, units))
        net.width(call.path, "filters", units)
        call.activation(layer.activation, units)
        return [Flow(call.shapes[0], axis, units)]

    return follow


def grouped(call: Call, read: Ids, units: Ids) -> None:
    """Kernel (taps..., inputs / groups, filters): a group of filters reads its own share of the inputs.

    Where there are more groups than inputs in each, whole groups go, with their inputs; else the same place of every
    group goes, so that all stay equally wide.
    """
    layer, net = call.layer, call.net
    reads, writes = (ids.reshape(layer.groups, -1) for ids in (read, units))
    last = len(layer.kernel.shape) - 1
    if layer.groups > reads.shape[1]:
        for inputs, filters in zip(reads, writes, strict=True):
            net.tie(np.repeat(filters[:1], len(filters) - 1), filters[1:])
            net.tie(np.repeat(filters[:1], len(inputs)), inputs)
        net.bind(own_kernel(layer), (last, units))
        bind_low_rank(net, layer, [], units)
        net.width(call.path, "groups", writes[:, 0])
        return
    for one in (reads, writes):
        for other in one[1:]:
            net.tie(one[0], other)
    net.bind(own_kernel(layer), (last - 1, reads[0]), (last, units), reads=[last - 1])
    bind_low_rank(net, layer, [(last - 1, reads[0])], units)


rule("Conv1D", "Conv2D", "Conv3D")(convolution(transposed=False))
rule("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")(convolution(transposed=True))


@rule("DepthwiseConv1D", "DepthwiseConv2D")
def depthwise(call: Call) -> list[Flow]:
    """Kernel (taps..., inputs, multiplier): every input has outputs of its own, which go with it."""
    layer, net, flow = call.layer, call.net, call.one()
    axis = channel_axis(layer, flow.rank)
    read = call.channels(flow, axis)
    written = np.repeat(read, layer.depth_multiplier)
    dim = len(layer.kernel.shape) - 2
    net.bind(layer.kernel, (dim, read), reads=[dim], reader=(layer, 0))
    net.bind(layer.bias, (0, written))
    call.activation(layer.activation, written)
    return [Flow(call.shapes[0], axis, written)]


@rule("SeparableConv1D", "SeparableConv2D")
def separable(call: Call) -> list[Flow]:
    """A depthwise kernel, then a pointwise one (1..., inputs * multiplier, filters)."""
    layer, net, flow = call.layer, call.net, call.one()
    axis = channel_axis(layer, flow.rank)
    read, last = call.channels(flow, axis), len(layer.pointwise_kernel.shape) - 1
    units = net.new(layer, call.path, layer.filters, "conv")
    net.bind(layer.depthwise_kernel, (last - 1, read), reads=[last - 1], reader=(layer, 0))
    net.bind(layer.pointwise_kernel, (last - 1, np.repeat(read, layer.depth_multiplier)), (last, units))
    net.bind(layer.bias, (0, units))
    net.width(call.path, "filters", units)
    call.activation(layer.activation, units)
    return [Flow(call.shapes[0], axis, units)]
