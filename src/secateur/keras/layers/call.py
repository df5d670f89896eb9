"""What a rule gets: one call of a layer, and the registry of rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ...base.errors import SecateurError, nearest
from ...base.extras import require
from ..channels import Channels, Flow, Ids, Shape, UnknownLayerError, readable

if TYPE_CHECKING:
    from keras import Layer

# Functions that treat every value by itself. A removed unit need not give zero: what reads it is zeroed as well.
ELEMENTWISE = frozenset({
    "linear", "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "swish", "sigmoid", "hard_sigmoid",
    "hard_silu", "hard_swish", "hard_tanh", "hard_shrink", "soft_shrink", "tanh", "tanh_shrink", "softplus", "softsign",
    "sparse_plus", "sparse_sigmoid", "squareplus", "threshold", "exponential", "log_sigmoid", "mish",
})  # fmt: skip
OVER_ALL = frozenset({"softmax", "log_softmax", "sparsemax"})  # over the last axis
LAYERS = {"ReLU": "relu", "LeakyReLU": "leaky_relu", "ELU": "elu"}  # given as an activation


@dataclass
class Call:
    """A call of `layer` in the graph. In `args` and `kwargs` every tensor is a `Flow`; `shapes` are of its outputs."""

    layer: Layer
    path: tuple[str, ...]  # names of the models around it, then its own
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    shapes: Sequence[Shape]
    net: Channels
    used: set[int] = field(default_factory=set)
    tensors: tuple[tuple[Any, ...], dict[str, Any]] | None = None  # `args` and `kwargs` as Keras' symbolic tensors

    @property
    def name(self) -> str:
        """As errors and patterns say it."""
        return readable(self.path)

    def given(self, name: str, position: int | None = None) -> Any:
        """The argument `name`, or the one at `position`, or None; its tensors count as understood."""
        value = self.kwargs.get(name)
        if value is None and position is not None and position < len(self.args):
            value = self.args[position]
        self.used |= {id(flow) for flow in flows_in(value)}
        return value

    def one(self) -> Flow:
        """The only tensor of the usual layer."""
        return self.all()[0]

    def all(self) -> list[Flow]:
        """The tensors of the first argument, in order."""
        result = flows_in(self.args[0] if self.args else next(iter(self.kwargs.values()), None))
        if not result:
            raise self.unknown("is not called on tensors")
        self.used |= {id(flow) for flow in result}
        return result

    def channels(self, flow: Flow, axis: int) -> Ids:
        """The channels along `axis` that the layer reads; when units are along another axis, those all stay."""
        axis = axis % flow.rank
        if flow.axis == axis and len(flow.ids):
            return flow.ids
        self.net.pin(flow.ids, f"'{self.name}' reads another axis than the one they are on")
        ids = self.net.fresh(flow.shape[axis])
        self.net.pin(ids, f"'{self.name}' reads them along an axis that has no units")
        return ids

    def activation(self, function: object, ids: Ids) -> bool:
        """An activation of the layer's own units; those stay unless it treats every one by itself."""
        name = getattr(function, "__name__", type(function).__name__)
        own = getattr(function, "__module__", type(function).__module__).split(".")[0] == "keras"
        single = function is None or (own and LAYERS.get(name, name) in ELEMENTWISE)
        if not single and not own and not hasattr(function, "weights"):
            single = one_by_one(function)
        if not single:
            what = name if own and name.lower() in OVER_ALL else f"an activation '{name}'"
            self.net.pin(ids, f"'{self.name}' has {what} over them")
        return single

    def unknown(self, what: str) -> UnknownLayerError:
        """The error for what no rule can follow."""
        inside = next((n for n, part in enumerate(self.path) if part.startswith("?")), len(self.path))
        name = readable(self.path[:inside]) or self.name  # operations in code have other names each time
        return UnknownLayerError(
            f"layer '{self.name}' ({type(self.layer).__name__}) {what}: exclude=['{name}'] leaves it and what it "
            "reads whole, mode='mask' masks the others without shrinking",
            f"it {what}",
        )


Rule = Callable[[Call], list[Flow]]
RULES: dict[str, Rule] = {}  # of Keras' layers, by name
REGISTERED: dict[type, Rule] = {}  # of other classes


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Enter a rule for the Keras layers of these names."""

    def enter(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return enter


def register(cls: type, rule: Rule | str) -> None:
    """Teach `prune` a layer of your own: `rule` follows units through a call of `cls`, or names the Keras layer that
    `cls` is like.

        secateur.keras.register(MyDense, "Dense")

    A rule is a function from a `Call` to its outputs. It declares what the layer makes, binds every variable of the
    layer to the channels along its dimensions, and says which number in the layer's config is how many there are:

        def scaled_dense(call):
            flow = call.one()  # the tensor that it reads
            units = call.net.new(call.layer, call.path, call.layer.units, "unit")
            call.net.bind(call.layer.kernel, (0, call.channels(flow, -1)), (1, units), reads=[0])
            call.net.width(call.path, "units", units)
            return [Flow(call.shapes[0], flow.rank - 1, units)]

        secateur.keras.register(ScaledDense, scaled_dense)

    A layer whose `call` is made of Keras layers and operations needs no rule.

    Raises:
        SecateurError: a name that no Keras layer here has.
    """
    if isinstance(rule, str):
        if rule not in RULES:
            raise SecateurError(f"no Keras layer '{rule}' has a rule here{nearest(rule, RULES)}")
        rule = RULES[rule]
    REGISTERED[cls] = rule


def one_by_one(function: Any) -> bool:
    """Whether a function treats every value by itself: tried on numbers, of which some stay and others change."""
    from ..random_runs import no_gradients

    keras = require("keras", "keras")
    random = np.random.default_rng(0)
    first, second = random.standard_normal((2, 3, 7)).astype(np.float32)
    second[:, 2] = first[:, 2]
    try:
        with no_gradients():
            one, two = (keras.ops.convert_to_numpy(function(keras.ops.convert_to_tensor(x))) for x in (first, second))
            moved = keras.ops.convert_to_numpy(function(keras.ops.convert_to_tensor(first[:, ::-1].copy())))
    except Exception:  # whatever it raises
        return False
    return bool(one.shape == first.shape and np.allclose(one[:, 2], two[:, 2]) and np.allclose(one[:, ::-1], moved))


def flows_in(value: object) -> list[Flow]:
    """All tensors in an argument."""
    if isinstance(value, Flow):
        return [value]
    if isinstance(value, dict):
        return [flow for key in sorted(value) for flow in flows_in(value[key])]
    if isinstance(value, list | tuple):
        return [flow for one in value for flow in flows_in(one)]
    return []
