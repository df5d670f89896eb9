"""`keras.ops` inside a functional model: sums such as `x + y`, functions of single values, means, slices, products."""

from __future__ import annotations

import numpy as np

from ..channels import Flow, Weight
from .call import Call, Rule, flows_in
from .merging import fixed, glu, merged, over_frames, reduced
from .shaping import OPERATIONS as SHAPING

# A quotient or a logarithm of a removed unit's zero is no number, and a root or deviation has no slope there.
BINARY = frozenset({
    "Add", "Subtract", "Multiply", "Maximum", "Minimum", "LogicalOr", "LogicalAnd", "LogicalXor", "Where", "Greater",
    "GreaterEqual", "Less", "LessEqual", "Equal", "NotEqual",
})  # fmt: skip
UNARY = frozenset({
    "Relu", "ReLU", "Relu6", "Sigmoid", "Tanh", "Silu", "Gelu", "Elu", "Selu", "LeakyRelu", "HardSigmoid", "HardSilu",
    "Softplus", "Softsign", "LogSigmoid", "Square", "Absolute", "Abs", "Negative", "Exp", "Sin", "Cos", "Cast", "Celu",
    "HardTanh", "Clip", "Sign", "SoftShrink", "HardShrink", "TanhShrink", "Squareplus", "Erf", "Expm1",
    "LogicalNot", "StopGradient", "ConvertToTensor", "Copy", "Round", "Floor", "Ceil", "Trunc", "Sinh", "Tan", "Arctan",
    "SparsePlus", "SparseSigmoid", "Threshold", "Mish", "NanToNum", "Isfinite", "Isnan",
})  # fmt: skip
TOGETHER = frozenset({
    "Log", "Log1p", "Log2", "Log10", "Reciprocal", "Rsqrt", "Argmax", "Argmin", "Argsort", "TopK", "OneHot", "FFT",
    "FFT2", "IFFT2", "RFFT", "IRFFT", "STFT", "ISTFT", "Norm", "Logsumexp", "CountNonzero", "Searchsorted", "Digitize",
    "FloorDivide", "Mod", "Arctan2", "Take", "TakeAlongAxis", "Normalize", "Tri", "Tril", "Triu", "Diagonal",
})  # fmt: skip


def operation(call: Call) -> list[Flow]:
    """A call of an operation that is not a layer."""
    kind = type(call.layer)
    result = OPERATIONS.get(kind.__name__)
    if result is None or kind.__module__.split(".")[0] != "keras":
        raise call.unknown("is an operation that units cannot be followed through")
    return result(call)


def value_by_value(call: Call) -> list[Flow]:
    """Every value by itself, or with the value at the same place in the other input; numbers are the same for all."""
    given = [*call.args, *call.kwargs.values()]
    flows = flows_in(given)
    call.used |= {id(flow) for flow in flows}
    arrays = [a for a in given if not isinstance(a, Flow) and not number(a)]
    if not flows or not all(hasattr(a, "shape") or isinstance(a, list | tuple) for a in arrays):
        raise call.unknown("is an operation that units cannot be followed through")
    for array in arrays:
        shape = np.shape(array) if isinstance(array, list | tuple) else tuple(array.shape)
        ids = call.net.fresh(shape[-1])
        call.net.pin(ids, f"'{call.name}' has a number for each of them")
        flows.append(Flow(shape, len(shape) - 1, ids))
    return [merged(call, flows)]


def number(value: object) -> bool:
    """Whether this is one number, or a setting, and not an array with a value for each unit."""
    return value is None or isinstance(value, int | float | str) or getattr(value, "shape", None) == ()


def root(call: Call) -> list[Flow]:
    """A root or deviation of a removed unit's zero is zero, but has no slope: while a model learns, such units are
    masked where they are read, unless something is added first."""
    flow = call.one()
    tensor = call.tensors[0][0] if call.tensors else None
    before = type(getattr(getattr(tensor, "_keras_history", None), "operation", None)).__name__
    if call.net.learning and not (type(call.layer).__name__ == "Sqrt" and before in ("Add", "Maximum", "Clip")):
        call.net.without_slope.append(flow.ids)
    return reduced(call) if type(call.layer).__name__ == "Std" else [flow]


def together(call: Call) -> list[Flow]:
    """What has no value for a removed unit's zero, or reads all of them at once: they stay."""
    flows = flows_in([*call.args, *call.kwargs.values()])
    call.used |= {id(flow) for flow in flows}
    for flow in flows:
        call.net.pin(flow.ids, f"'{call.name}' reads all of them")
    return [fixed(call, shape) for shape in call.shapes]


def attended(call: Call) -> list[Flow]:
    """`ops.dot_product_attention`, which divides by the root of how many there are: those of queries and keys stay."""
    query, key, value = flows = (
        call.args[:3] if len(call.args) > 2 else [call.kwargs[n] for n in ("query", "key", "value")]
    )
    call.used |= {id(flow) for flow in [*flows, *flows_in(call.kwargs)]}
    for flow in (query, key):
        call.net.pin(flow.ids, f"'{call.name}' compares them")
    if value.axis != value.rank - 1:
        call.net.pin(value.ids, f"'{call.name}' has them as heads")
        return [fixed(call, call.shapes[0])]
    return [Flow(call.shapes[0], len(call.shapes[0]) - 1, value.ids)]


def divided(call: Call) -> list[Flow]:
    """By a number, or by something that has no units: nothing divides by a removed unit."""
    above, below = (*call.args, *call.kwargs.values())[:2]
    if isinstance(below, Flow):
        call.net.pin(below.ids, f"'{call.name}' divides by them")
    elif not isinstance(above, Flow) or not number(below):
        raise call.unknown("is an operation that units cannot be followed through")
    return value_by_value(call)


def power(call: Call) -> list[Flow]:
    """To a positive power, or zero to the power of zero would be one and zero to that of -1 no number."""
    exponent = (*call.args, *call.kwargs.values())[1]
    if not isinstance(exponent, int | float) or exponent <= 0:
        raise call.unknown("is not a power by a positive number")
    return value_by_value(call)


def like(call: Call) -> list[Flow]:
    """Zeros or ones of the same shape: all channels are alike."""
    flow = call.one()
    return [Flow(flow.shape, flow.axis, flow.ids, alike=True)]


def matmul(call: Call) -> list[Flow]:
    """(..., m, k) with (..., k, n): units along k go together; those along n or m pass."""
    first, second = _both(call)
    net, shape = call.net, call.shapes[0]
    if isinstance(second, Weight) and second.rank == 2 and first.rank > 1:
        return [by_kernel(call, first, second)]
    if min(first.rank, second.rank) < 3 or first.rank != second.rank:
        raise call.unknown("multiplies other than batches of matrices")
    inner = first.axis == first.rank - 1, second.axis == second.rank - 2
    if all(inner) and len(first.ids) == len(second.ids):
        net.tie(first.ids, second.ids)
        ids = net.fresh(shape[-1])
        net.pin(ids, f"'{call.name}' writes them from all it reads")
        return [Flow(shape, len(shape) - 1, ids)]
    for flow, contracted in zip((first, second), inner, strict=True):
        if contracted:
            net.pin(flow.ids, f"'{call.name}' sums over them with what has no units")
    outer = [f for f, contracted in zip((first, second), inner, strict=True) if not contracted]
    if len(outer) > 1:  # rows of one and columns of the other
        net.pin(first.ids, f"'{call.name}' has units along two axes")
    return [Flow(shape, outer[-1].axis, outer[-1].ids)]


def by_kernel(call: Call, flow: Flow, kernel: Weight) -> Flow:
    """A layer's own kernel (inputs, units): its units are units like those of a dense layer."""
    net, shape = call.net, call.shapes[0]
    net.bind(kernel.variable, (0, call.channels(flow, -1)), reads=[0])
    units = net.new(kernel.variable, (*call.path[:-1], f"?{kernel.variable.name}"), len(kernel.ids), "unit")
    net.tie(kernel.ids, units)
    return Flow(shape, len(shape) - 1, units)


def _both(call: Call) -> tuple[Flow, Flow]:
    """The two tensors of a product."""
    flows = flows_in([*call.args, *call.kwargs.values()])
    call.used |= {id(flow) for flow in flows}
    if len(flows) != 2:
        raise call.unknown("multiplies by a fixed array")
    return flows[0], flows[1]


def einsum(call: Call) -> list[Flow]:
    """Sums of products by labels of axes: units along a label that all have go together, or pass where it stays."""
    net, shape = call.net, call.shapes[0]
    first, second = flows = _both(call)
    read, _, written = call.layer.subscripts.replace(" ", "").partition("->")
    labels = read.split(",")
    if "." in read or not written or any(len(a) != f.rank for a, f in zip(labels, flows, strict=True)):
        raise call.unknown(f"computes {call.layer.subscripts}, which is not written out")
    if isinstance(second, Weight) and second.rank == 2:
        (inputs, units), (rest, last) = labels[1], (labels[0][:-1], labels[0][-1])
        if inputs == last and written == rest + units and units not in labels[0]:
            return [by_kernel(call, first, second)]
    result: Flow | None = None
    along = [label[flow.axis] for label, flow in zip(labels, flows, strict=True)]
    for number, flow in enumerate(flows):
        label, other = along[number], flows[1 - number]
        if label in labels[1 - number] and (along[1 - number] != label or len(flow.ids) != len(other.ids)):
            net.pin(flow.ids, f"'{call.name}' multiplies them with what has no units")
        elif label in labels[1 - number]:
            net.tie(flow.ids, other.ids)
        if label not in written:
            if label not in labels[1 - number]:
                net.pin(flow.ids, f"'{call.name}' sums over them")
        elif result is None or net.stays(result.ids):
            result = Flow(shape, written.index(label), flow.ids)
        elif written.index(label) != result.axis:
            net.pin(flow.ids, f"'{call.name}' has units along two axes")
    return [result or fixed(call, shape)]


OPERATIONS: dict[str, Rule] = {
    **dict.fromkeys(BINARY | UNARY, value_by_value), "TrueDivide": divided, "Divide": divided, "Power": power,
    "Std": root, "Sqrt": root, "DotProductAttention": attended, **dict.fromkeys(TOGETHER, together),
    **dict.fromkeys(("ZerosLike", "OnesLike"), like), "Matmul": matmul, "Dot": matmul, "Einsum": einsum, "Glu": glu,
    **dict.fromkeys(("Mean", "Sum", "Max", "Min", "Amax", "Amin", "Var", "Prod", "Median", "Any", "All"), reduced),
    **dict.fromkeys(("Softmax", "LogSoftmax", "Cumsum", "Flip", "Sort"), over_frames), **SHAPING,
}  # fmt: skip
