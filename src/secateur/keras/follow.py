"""From the input of a Keras model to its output, layer by layer: every call is handed to the rule of its layer.

Sequential, functional and nested models have a graph that can be followed. A layer or model of another class is
followed into its `call` (see `tracing`), unless `register` gave it a rule or it computes what its Keras parent does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..base.errors import SecateurError
from ..base.extras import require
from .channels import Channels, Flow, Shape, UnknownLayerError, Weight
from .copies import functional
from .layers import REGISTERED, RULES, Call, Rule, operation
from .layers.call import flows_in
from .layers.low_rank import unfit
from .layers.wrapping import WRAPPERS

if TYPE_CHECKING:
    from keras import KerasTensor, Layer, Model, Variable

INPUT = "the model's input"
CONSTANT = "the code of a layer has a number for each of them"
ALONE = {
    "Dense", "EinsumDense", "Conv1D", "Conv2D", "Conv3D", "SeparableConv1D", "SeparableConv2D", "LSTM", "GRU",
    "SimpleRNN", "MultiHeadAttention",
}  # fmt: skip
Opaque = Callable[[str], bool]  # whether a layer may be left whole when no rule knows it


def followed(
    model: Model, opaque: Opaque, lenient: bool = False, call: object = None, learning: bool = False,
    narrow: bool = False,
) -> Channels:  # fmt: skip
    """All channels of a model. Layers without a rule that `opaque` names are left whole, and so is what they read.

    With `lenient`, a layer that no rule can follow is passed over: masks do not need to know what reads a unit. A
    subclassed model is called as `call`, symbolic tensors. While the model is `learning`, units whose zeros have no
    slope are masked where they are read, or stay where that is not known.

    Raises:
        UnknownLayerError: a layer without a rule, or used as its rule cannot follow.
        SecateurError: a model that is subclassed or not built.
    """
    names: dict[int, str] = {}
    for number, variable in enumerate(model.weights):
        names[id(variable)] = variable.path if variable.path not in names.values() else f"{variable.path}#{number}"
    net = Channels(names, learning)
    walk = Walk(net, opaque, lenient)
    if functional(model):
        walk.top = model_graph(model)
        inputs = [walk.input(one) if narrow else walk.fixed(one, INPUT) for one in model_graph(model).inputs]
        result = walk.model(model, inputs, ())
    else:
        try:
            result = walk.subclassed(model, call)
        except UnknownLayerError:
            if not lenient:
                raise
            result = []
    for variable in net.read:
        use = net.bind(variable)
        for ids in use.dims.values() if use else ():
            net.pin(ids, "the code of a layer reads them where they are")
    for flow in result:
        net.pin(flow.ids, "they are the model's output")
    for (layer, _), one in net.declared.items():
        if net.one_way.get(layer):
            net.pin(one.ids, "what the model is a part of may read the embedding back to tokens")
    for ids in net.without_slope if lenient else ():
        net.pin(ids, "a root or deviation of them has no slope where they are removed")
    roots = net.roots()
    units = {root for one in net.declared.values() for root in roots[one.ids].tolist()} - net.staying
    for problem, given in walk.problems:
        if not all(units.isdisjoint(roots[flow.ids].tolist()) for flow in given):
            raise problem
    return net


def model_graph(model: Model) -> Any:
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
    return graph


def tensors_of(call: Call) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What a call is given, as symbolic tensors; inside of wrappers there are none yet."""
    if call.tensors is not None:
        return call.tensors
    keras = require("keras", "keras")

    def symbolic(value: object) -> Any:
        return keras.KerasTensor(value.shape) if isinstance(value, Flow) else value

    result: tuple[tuple[Any, ...], dict[str, Any]] = keras.tree.map_structure(symbolic, (call.args, call.kwargs))
    return result


def reshaped(flow: Flow, shape: Shape) -> Flow:
    """The same channels in a tensor whose sizes are known otherwise: fixed in a layer's code, open around it."""
    return Flow(tuple(shape), flow.axis, flow.ids, flow.alike)


def fits(stated: Shape, real: Shape) -> bool:
    """Whether a tensor that has sizes as `stated`, some of them open, may have the `real` ones."""
    return len(stated) == len(real) and all(a in (None, b) for a, b in zip(stated, real, strict=True))


class Walk:
    """One pass through a model; nested models are walked where they are called."""

    def __init__(self, net: Channels, opaque: Opaque, lenient: bool) -> None:
        self.net, self.opaque, self.lenient = net, opaque, lenient
        self.problems: list[tuple[UnknownLayerError, list[Flow]]] = []
        self.top: Any = None  # the graph of the whole model
        self.places: dict[int, tuple[str, ...]] = {}  # by `id` of operations: where they come first
        self.real: dict[int, Any] = {}  # by `id` of its tensors: tensors of their real sizes

    def fixed(self, tensor: KerasTensor, why: str) -> Flow:
        """A tensor none of whose channels may go."""
        shape: Shape = tuple(tensor.shape)
        ids = self.net.fresh(shape[-1] if len(shape) > 1 else None)
        self.net.pin(ids, why)
        return Flow(shape, max(len(shape) - 1, 0), ids)

    def input(self, tensor: KerasTensor) -> Flow:
        """An input of the model whose features (last axis) may go."""
        shape: Shape = tuple(tensor.shape)
        if len(shape) < 2 or shape[-1] is None or "float" not in str(tensor.dtype):
            return self.fixed(tensor, INPUT)
        layer = tensor._keras_history.operation
        ids = self.net.new(layer, (layer.name,), shape[-1], "input")
        self.net.width((layer.name,), "batch_shape", ids, len(shape) - 1)
        return Flow(shape, len(shape) - 1, ids)

    def model(self, model: Model, inputs: Sequence[Flow], path: tuple[str, ...]) -> list[Flow]:
        """The outputs of a model that is called on `inputs`."""
        graph = model_graph(model)
        flows: dict[int, Flow] = {}
        for tensor, flow in zip(graph.inputs, inputs, strict=True):
            flows[id(tensor)] = reshaped(flow, tensor.shape)
            if path and len(flow.ids):
                name = tensor._keras_history.operation.name
                self.net.width((*path, name), "batch_shape", flow.ids, flow.axis)
        self.graph(graph, flows, lambda operation: self.places.setdefault(id(operation), (*path, operation.name)))
        return [flows[id(tensor)] for tensor in graph.outputs]

    def graph(self, graph: Any, flows: dict[int, Flow], place: Callable[[Any], tuple[str, ...]]) -> None:
        """Fill `flows` with the tensors of a graph, whose operations are at `place`."""
        for depth in sorted(graph._nodes_by_depth, reverse=True):
            for node in graph._nodes_by_depth[depth]:
                if node.is_input:
                    continue
                args, kwargs = node.arguments.fill_in(flows)
                outputs = self.call(node, args, kwargs, place(node.operation))
                for tensor, flow in zip(node.outputs, outputs, strict=True):
                    flows[id(tensor)] = flow

    def call(self, node: Any, args: tuple[Any, ...], kwargs: dict[str, Any], path: tuple[str, ...]) -> list[Flow]:
        """The outputs of one node."""
        shapes = [tuple(tensor.shape) for tensor in node.outputs]
        call = Call(node.operation, path, args, kwargs, shapes, self.net)
        call.tensors = node.arguments.args, node.arguments.kwargs
        given = flows_in([list(args), kwargs])
        self.net.calls.append(call.name)
        try:
            result = self.layer(call)
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
        return result

    def layer(self, call: Call) -> list[Flow]:
        """By the layer's rule, which has to know every variable of the layer."""
        keras = require("keras", "keras")
        layer = call.layer
        if isinstance(layer, keras.Model) and functional(layer):
            return [reshaped(f, s) for f, s in zip(self.model(layer, call.all(), call.path), call.shapes, strict=True)]
        wrapper = WRAPPERS.get(type(layer).__name__) if type(layer).__module__.split(".")[0] == "keras" else None
        if wrapper is not None:
            result = wrapper(call, self.layer)
        else:
            rule = self.rule_of(call)
            result = self.inside(call) if rule is None else rule(call)
        for variable in getattr(layer, "weights", []):
            if self.net.names.get(id(variable)) not in self.net.uses:
                raise call.unknown(f"has a variable '{variable.name}' that its rule does not know")
        return result

    def rule_of(self, call: Call) -> Rule | None:
        """The rule of a layer: what `register` gave its class, that of Keras' class, or that of the class of Keras that
        it is made of where it computes the same; None where its `call` has to be followed."""
        keras = require("keras", "keras")
        layer = call.layer
        kind: Any = type(layer)
        if not isinstance(layer, keras.layers.Layer):
            return operation
        given = next((REGISTERED[one] for one in kind.__mro__ if one in REGISTERED), None)
        if given is not None:
            return given
        if kind.__module__.split(".")[0] == "keras":
            why = unfit(layer)
            if why:
                raise call.unknown(why)
            if kind.__name__ in RULES:
                return RULES[kind.__name__]
            if kind.__name__ == "Lambda" and not self.opaque(call.name):  # its function is code, as of other classes
                return None
            raise call.unknown("is not known here")
        parent: Any = next(one for one in kind.__mro__ if one.__module__.split(".")[0] == "keras")
        if parent.__name__ not in RULES or hasattr(layer, "_resized"):
            return None
        if kind.call is parent.call:
            return RULES[parent.__name__]
        from .tracing import agrees

        return RULES[parent.__name__] if agrees(layer, parent, *tensors_of(call)) else None

    def inside(self, call: Call) -> list[Flow]:
        """Into the `call` of a layer of another class."""
        from .resized import addresses_of
        from .tracing import UntraceableError, traced

        keras = require("keras", "keras")
        layer, net = call.layer, self.net
        args, kwargs = tensors_of(call)
        kwargs = dict(sorted(kwargs.items()))  # not every flattening sorts them
        try:
            try:
                trace = traced(layer, args, kwargs)
            except UntraceableError:
                if not self.measure():
                    raise
                args, kwargs = keras.tree.map_structure(lambda one: self.real.get(id(one), one), (args, kwargs))
                trace = traced(layer, args, kwargs)
        except UntraceableError as problem:
            if call.path and not layer.weights:  # nothing in it can go: what it reads stays
                net.left[call.name] = f"it cannot be followed: {problem}"
                for flow in flows_in([list(call.args), call.kwargs]):
                    net.pin(flow.ids, f"'{call.name}' cannot be followed: {problem}")
                    call.used.add(id(flow))
                return [self.fixed(keras.KerasTensor(shape), f"'{call.name}' makes them") for shape in call.shapes]
            if self.lenient:
                self.alone(layer, call.path)
            if call.path:
                raise call.unknown(f"cannot be followed: {problem}") from problem
            raise UnknownLayerError(
                f"model '{layer.name}' ({type(layer).__name__}) cannot be followed: {problem}; mode='mask' masks it "
                "without shrinking",
                f"it cannot be followed: {problem}",
            ) from problem
        addresses = addresses_of(layer)
        _, parts = net.own.setdefault(call.path, (layer, {}))

        def place(part: Any) -> tuple[str, ...]:
            if id(part) not in addresses:
                return (*call.path, f"?{part.name}")
            parts[addresses[id(part)]] = part
            return (*call.path, f".{addresses[id(part)]}")

        given = [
            f for f in keras.tree.flatten((call.args, dict(sorted(call.kwargs.items())))) if isinstance(f, Flow)
        ]  # as the trace has them
        call.used |= {id(flow) for flow in given}
        flows: dict[int, Flow] = {}
        for tensor, flow in zip(trace.tensors, given, strict=True):
            flows[id(tensor)] = reshaped(flow, tensor.shape)
        for tensor, value in trace.symbols:
            flows[id(tensor)] = self.weight(value) if hasattr(value, "trainable") else self.fixed(tensor, CONSTANT)
        try:
            self.graph(trace.graph, flows, place)
        finally:
            trace.close()
        for variable in layer.weights:
            if net.names[id(variable)] not in net.uses:
                net.bind(variable)
        net.read += [variable for variable in trace.read if id(variable) in net.names]
        result = [flows[id(tensor)] for tensor in trace.graph.outputs]
        return [reshaped(f, s) for f, s in zip(result, call.shapes, strict=True)] if call.shapes else result

    def measure(self) -> bool:
        """Note the sizes that the model's tensors really have, which classes may state wrongly; False if not known."""
        if self.top is not None and not self.real:
            from .random_runs import nodes_of, sizes_of

            self.real = sizes_of(self.top)
            for place, node in nodes_of(self.top) if self.real else ():
                if not all(fits(tensor.shape, self.real[id(tensor)].shape) for tensor in node.outputs):
                    self.net.misstated[place] = node.operation
        return bool(self.real)

    def alone(self, layer: Layer, path: tuple[str, ...]) -> None:
        """The units of every layer inside one whose code cannot be followed, for masks: who reads them is not known."""
        keras = require("keras", "keras")
        for one in layer._flatten_layers(include_self=False):
            name, build = type(one).__name__, one.get_build_config()
            if type(one).__module__.split(".")[0] != "keras" or name not in ALONE or not build:
                continue
            shapes = [build["input_shape"]] if "input_shape" in build else list(build["shapes_dict"].values())
            flows = [self.fixed(keras.KerasTensor(shape), "the code of a layer makes them") for shape in shapes]
            output = (*shapes[0][:-1], 1)
            call = Call(one, (*path, f".{one.path or one.name}"), tuple(flows), {}, [output], self.net)
            with suppress(UnknownLayerError):
                RULES[name](call)
                self.net.calls.append(call.name)
        for variable in layer.weights:
            self.net.bind(variable)

    def weight(self, variable: Variable) -> Flow:
        """A variable that a layer's code reads."""
        shape = tuple(variable.shape)
        ids = self.net.fresh(shape[-1] if shape else None)
        self.net.bind(variable, *([(len(shape) - 1, ids)] if shape else []))
        return Weight(shape, max(len(shape) - 1, 0), ids, variable=variable)

    def subclassed(self, model: Model, tensors: Any) -> list[Flow]:
        """A subclassed model, called on symbolic `tensors`."""
        if tensors is None:
            raise SecateurError(
                f"model '{model.name}' ({type(model).__name__}) is subclassed and was not called yet: call it on a "
                "batch, or give data=..."
            )
        keras = require("keras", "keras")
        flows = keras.tree.map_structure(lambda one: self.fixed(one, INPUT), tensors)
        call = Call(model, (), tuple(flows), {}, [], self.net, tensors=(tuple(tensors), {}))
        return self.layer(call)
