"""`keras.ops` inside a functional model: sums such as `x + y`, and functions of single values."""

from __future__ import annotations

from ..channels import Flow
from .call import Call, flows_in
from .merging import merged

# A quotient or a logarithm of a removed unit's zero is no number, so those are not here.
BINARY = frozenset({"Add", "Subtract", "Multiply", "Maximum", "Minimum"})
UNARY = frozenset({
    "Relu", "Relu6", "Sigmoid", "Tanh", "Silu", "Gelu", "Elu", "Selu", "LeakyRelu", "HardSigmoid", "HardSilu",
    "Softplus", "Softsign", "LogSigmoid", "Square", "Absolute", "Abs", "Negative", "Exp", "Sin", "Cos", "Cast",
})  # fmt: skip


def operation(call: Call) -> list[Flow]:
    """A call of an operation that is not a layer."""
    name = type(call.layer).__name__
    flows = flows_in([*call.args, *call.kwargs.values()])
    call.used |= {id(flow) for flow in flows}
    others = [a for a in [*call.args, *call.kwargs.values()] if not isinstance(a, Flow | int | float | str | None)]
    if others or not flows or name not in BINARY | UNARY:
        raise call.unknown("is an operation that units cannot be followed through")
    return [merged(call, flows)]
