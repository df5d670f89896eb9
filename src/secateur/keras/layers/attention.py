"""Multi-head attention: heads go, query/key and value dimensions go (in all heads alike), and so do its outputs."""

from __future__ import annotations

from ..channels import Flow
from .call import Call, rule


@rule("MultiHeadAttention")
def attention(call: Call) -> list[Flow]:
    """Query, key, value kernels (inputs, heads, dimensions), output kernel (heads, value dimensions, outputs).

    Scores are divided by the root of the number of query/key dimensions: where some go, the query's kernel makes up
    for it, so that nothing changes.
    """
    layer, net = call.layer, call.net
    query: Flow = call.given("query", 0)
    value: Flow = call.given("value", 1)
    key: Flow = call.given("key", 2) or value
    if layer._output_shape is not None and len(layer._output_shape) != 1:
        raise call.unknown("has an output of several dimensions")
    if getattr(layer.query_dense, "lora_enabled", False) or getattr(layer.query_dense, "quantization_mode", None):
        raise call.unknown("is quantised or has LoRA")
    heads = net.new(layer, call.path, layer.num_heads, "head", ".heads")
    scored = net.new(layer, call.path, layer.key_dim, "query_key", ".query_key")
    valued = net.new(layer, call.path, layer.value_dim, "value", ".value")
    written = net.new(layer, call.path, layer.output_dense.kernel.shape[-1], "unit")
    parts = [(layer.query_dense, query, scored, 0), (layer.key_dense, key, scored, 2)]
    parts += [(layer.value_dense, value, valued, 1)]
    if getattr(layer, "_use_gate", False):
        parts.append((layer._gate_dense, query, valued, 0))
    for dense, flow, dimensions, number in parts:
        read = (0, call.channels(flow, -1))
        use = net.bind(dense.kernel, read, (1, heads), (2, dimensions), reads=[0], reader=(layer, number))
        bias = net.bind(dense.bias, (0, heads), (1, dimensions))
        if dense is layer.query_dense:
            for one in (use, bias):
                if one is not None:
                    one.scaled = scored
    output = layer.output_dense
    net.bind(output.kernel, (0, heads), (1, valued), (2, written))
    net.bind(output.bias, (0, written))
    for width, ids in (("num_heads", heads), ("key_dim", scored), ("value_dim", valued), ("output_shape", written)):
        net.width(call.path, width, ids)
    first = Flow(call.shapes[0], query.rank - 1, written)
    scores = [Flow(shape, len(shape) - 1, net.fresh(None)) for shape in call.shapes[1:]]
    if scores:
        net.pin(heads, f"'{call.name}' returns the scores of its heads")
    return [first, *scores]
