"""Attention: heads go, query/key and value dimensions go (in all heads alike), and so do the outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...base.extras import require
from ..channels import Flow, Ids
from .call import Call, rule


@rule("MultiHeadAttention")
def attention(call: Call) -> list[Flow]:
    """Query, key, value kernels (inputs, heads, dimensions), output kernel (heads, value dimensions, outputs).

    Scores are divided by the root of the number of query/key dimensions: where some go, the query's kernel makes up
    for it, so that nothing changes.
    """
    layer, net = call.layer, call.net
    query, value, key = _inputs(call)
    if layer._output_shape is not None and len(layer._output_shape) != 1:
        raise call.unknown("has an output of several dimensions")
    heads = net.new(layer, call.path, layer.num_heads, "head", ".heads")
    scored = net.new(layer, call.path, layer.key_dim, "query_key", ".query_key")
    valued = net.new(layer, call.path, layer.value_dim, "value", ".value")
    if require("keras", "keras").backend.backend() == "jax" and layer.key_dim == layer.value_dim:
        net.tie(scored, valued)  # JAX's attention wants keys and values equally wide
    written = net.new(layer, call.path, layer.output_dense.kernel.shape[-1], "unit")
    parts = [(layer.query_dense, query, heads, scored, 0), (layer.key_dense, key, heads, scored, 2)]
    parts += [(layer.value_dense, value, heads, valued, 1)]
    if getattr(layer, "_use_gate", False):
        parts.append((layer._gate_dense, query, heads, valued, 0))
    _bind(call, parts, layer.query_dense)
    output = layer.output_dense
    net.bind(output.kernel, (0, heads), (1, valued), (2, written))
    net.bind(output.bias, (0, written))
    for width, ids in (("num_heads", heads), ("key_dim", scored), ("value_dim", valued), ("output_shape", written)):
        net.width(call.path, width, ids)
    return _outputs(call, Flow(call.shapes[0], query.rank - 1, written), heads)


@rule("GroupedQueryAttention")
def grouped_attention(call: Call) -> list[Flow]:
    """The same with fewer heads for keys and values: one of those goes with all queries that share it.

    The output is as wide as the query, so they share units; one number says how wide queries, keys and values are.
    """
    layer, net = call.layer, call.net
    query, value, key = _inputs(call)
    shared = net.new(layer, call.path, layer.num_key_value_heads, "head", ".heads")
    heads = np.repeat(shared, layer.num_query_heads // layer.num_key_value_heads)
    width = net.new(layer, call.path, layer.head_dim, "value", ".dimensions")
    written, read = call.channels(query, -1), call.channels(value, -1)
    net.tie(written, read)
    parts = [(layer._query_dense, query, heads, width, 0), (layer._key_dense, key, shared, width, 2)]
    parts += [(layer._value_dense, value, shared, width, 1)]
    if getattr(layer, "use_gate", False):
        parts.append((layer._gate_dense, query, heads, width, 0))
    _bind(call, parts, layer._query_dense)
    net.bind(layer._output_dense.kernel, (0, heads), (1, width), (2, written))
    net.bind(layer._output_dense.bias, (0, written))
    for key_, ids in (("num_query_heads", heads), ("num_key_value_heads", shared), ("head_dim", width)):
        net.width(call.path, key_, ids)
    return _outputs(call, Flow(call.shapes[0], query.rank - 1, written), shared)


@rule("Attention", "AdditiveAttention")
def plain_attention(call: Call) -> list[Flow]:
    """Without kernels: a unit of the query goes with that of the key, those of the value pass."""
    layer, net, inputs = call.layer, call.net, call.all()
    query, value = inputs[:2]
    key = inputs[2] if len(inputs) > 2 else value
    compared = call.channels(query, -1)
    net.tie(compared, call.channels(key, -1))
    for variable in layer.weights:
        net.bind(variable, *([(0, compared)] if len(variable.shape) else []))
    call.given("mask")  # of frames
    rest = [Flow(shape, len(shape) - 1, net.fresh(None)) for shape in call.shapes[1:]]
    return [Flow(call.shapes[0], value.rank - 1, call.channels(value, -1)), *rest]


Part = tuple[Any, Flow, Ids, Ids, int]  # a dense layer, what it reads, heads, dimensions, which input it is


def _inputs(call: Call) -> tuple[Flow, Flow, Flow]:
    query: Flow = call.given("query", 0)
    value: Flow = call.given("value", 1)
    key: Flow = call.given("key", 2) or value
    return query, value, key


def _bind(call: Call, parts: Sequence[Part], first: object) -> None:
    """Kernels and biases of queries, keys, values and gates; the query's make up for the root of the dimensions."""
    for dense, flow, heads, dimensions, number in parts:
        read = (0, call.channels(flow, -1))
        use = call.net.bind(dense.kernel, read, (1, heads), (2, dimensions), reads=[0], reader=(call.layer, number))
        bias = call.net.bind(dense.bias, (0, heads), (1, dimensions))
        if dense is first:
            for one in (use, bias):
                if one is not None:
                    one.scaled = dimensions


def _outputs(call: Call, first: Flow, heads: Ids) -> list[Flow]:
    """What attention gives, and the scores of its heads where they are asked for."""
    scores = [Flow(shape, len(shape) - 1, call.net.fresh(None)) for shape in call.shapes[1:]]
    if scores:
        call.net.pin(heads, f"'{call.name}' returns the scores of its heads")
    return [first, *scores]
