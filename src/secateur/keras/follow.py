"""From the input of a Keras model to its output, layer by layer: every call is handed to the rule of its layer.

Sequential, functional and nested models have a graph that can be followed; subclassed ones have none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..base.errors import SecateurError
from ..base.extras import require
from .channels import Channels, Flow, Shape, UnknownLayerError
from .layers import RULES, Call, Rule, operation
from .layers.call import flows_in

Opaque = Callable[[str], bool]  # whether a layer may be left whole when no rule knows it


def followed(model: Any, opaque: Opaque, lenient: bool = False) -> Channels:
    """All channels of a model. Layers without a rule that `opaque` names are left whole, and so is what they read.

    With `lenient`, a layer that no rule can follow is passed over: masks do not need to know what reads a unit.

    Raises:
        UnknownLayerError: a layer without a rule, or used as its rule cannot follow.
        SecateurError: a model that is subclassed or not built.
    """
    names: dict[int, str] = {}
    for number, variable in enumerate(model.weights):
        names[id(variable)] = variable.path if variable.path not in names.values() else f"{variable.path}#{number}"
    net = Channels(names)
    walk = Walk(net, opaque, lenient)
    found = walk.model(model, [walk.fixed(tensor, "the model's input") for tensor in model_graph(model).inputs], ())
    for flow in found:
        net.pin(flow.ids, "they are the model's output")
    for problem, given in walk.problems:
        if not all(net.stays(flow.ids) for flow in given):
            raise problem
    return net


def model_graph(model: Any) -> Any:
    """The functional graph of a model, with `inputs`, `outputs` and nodes.

    Raises:
        SecateurError: there is none.
    """
    keras = require("keras", "keras")
    graph = model
    if isinstance(model, keras.Sequential):
        graph = getattr(model, "_functional", None)
        if graph is None:
            raise SecateurError(f"model '{model.name}' is not built: give it an Input, or call it on a batch")
    if not hasattr(graph, "_nodes_by_depth") or type(graph).__module__.split(".")[0] != "keras":
        raise SecateurError(
            f"model '{model.name}' ({type(model).__name__}) is subclassed, so its layers cannot be followed: "
            "build it with keras.Sequential or keras.Model(inputs, outputs)"
        )
    return graph


class Walk:
    """One pass through a model; nested models are walked where they are called."""

    def __init__(self, net: Channels, opaque: Opaque, lenient: bool) -> None:
        self.net, self.opaque, self.lenient = net, opaque, lenient
        self.problems: list[tuple[UnknownLayerError, list[Flow]]] = []

    def fixed(self, tensor: Any, why: str) -> Flow:
        """A tensor none of whose channels may go."""
        shape: Shape = tuple(tensor.shape)
        ids = self.net.fresh(shape[-1] if len(shape) > 1 else None)
        self.net.pin(ids, why)
        return Flow(shape, max(len(shape) - 1, 0), ids)

    def model(self, model: Any, inputs: Sequence[Flow], path: tuple[str, ...]) -> list[Flow]:
        """The outputs of a model that is called on `inputs`."""
        graph = model_graph(model)
        flows: dict[int, Flow] = {}
        for tensor, flow in zip(graph.inputs, inputs, strict=True):
            flows[id(tensor)] = flow
            if path and len(flow.ids):
                name = tensor._keras_history.operation.name
                self.net.width((*path, name), "batch_shape", flow.ids, flow.axis)
        for depth in sorted(graph._nodes_by_depth, reverse=True):
            for node in graph._nodes_by_depth[depth]:
                if node.is_input:
                    continue
                args, kwargs = node.arguments.fill_in(flows)
                outputs = self.call(node, args, kwargs, (*path, node.operation.name))
                for tensor, flow in zip(node.outputs, outputs, strict=True):
                    flows[id(tensor)] = flow
        return [flows[id(tensor)] for tensor in graph.outputs]

    def call(self, node: Any, args: tuple[Any, ...], kwargs: dict[str, Any], path: tuple[str, ...]) -> list[Flow]:
        """The outputs of one node."""
        shapes = [tuple(tensor.shape) for tensor in node.outputs]
        call = Call(node.operation, path, args, kwargs, shapes, self.net)
        given = flows_in([list(args), kwargs])
        self.net.calls.append(call.name)
        try:
            found = self.layer(call)
        except UnknownLayerError as problem:
            if self.opaque(call.name):
                for flow in given:
                    self.net.pin(flow.ids, f"'{call.name}', which is excluded, reads them")
            elif not self.lenient:  # what reads only channels that stay may do with them what it likes
                self.problems.append((problem, given))
            self.net.left[call.name] = problem.what
            for variable in getattr(call.layer, "weights", []):
                use = self.net.bind(variable)
                for ids in use.dims.values() if use and not self.lenient else ():  # as far as its rule came
                    self.net.pin(ids, f"'{call.name}' is left whole: {problem.what}")
            return [self.fixed(tensor, f"'{call.name}' is left whole") for tensor in node.outputs]
        for flow in given:
            if id(flow) not in call.used:  # masks and the like
                self.net.pin(flow.ids, f"'{call.name}' reads them in a way that no rule knows")
        return found

    def layer(self, call: Call) -> list[Flow]:
        """By the layer's rule, which has to know every variable of the layer."""
        keras = require("keras", "keras")
        layer = call.layer
        if isinstance(layer, keras.Model):
            return self.model(layer, call.all(), call.path)
        wrapped = type(layer) is keras.layers.TimeDistributed
        found = self.distributed(call) if wrapped else self.rule_of(call)(call)
        for variable in getattr(layer, "weights", []):
            if self.net.names.get(id(variable)) not in self.net.uses:
                raise call.unknown(f"has a variable '{variable.name}' that its rule does not know")
        return found

    def rule_of(self, call: Call) -> Rule:
        """The rule of exactly this class of Keras: a subclass may do anything."""
        keras = require("keras", "keras")
        layer = call.layer
        name = type(layer).__name__
        if not isinstance(layer, keras.layers.Layer):
            return operation
        if name in RULES and type(layer).__module__.split(".")[0] == "keras":
            return RULES[name]
        raise call.unknown("is not known here")

    def distributed(self, call: Call) -> list[Flow]:
        """The same layer for every frame: (batch, frames, ...) as if frames were batches."""
        flow, inner = call.one(), call.layer.layer
        if flow.axis < 2 or len(call.shapes) != 1:
            raise call.unknown("has no axis of channels after that of time")
        frame = Flow((flow.shape[0], *flow.shape[2:]), flow.axis - 1, flow.ids)
        shape = call.shapes[0]
        path = (*call.path, "@layer")
        call = Call(inner, path, (frame,), {}, [(shape[0], *shape[2:])], self.net)
        out = self.layer(call)[0]
        return [Flow(shape, out.axis + 1, out.ids)]
