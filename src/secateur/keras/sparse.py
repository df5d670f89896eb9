"""Zeros inside kernels that keep their shape: single weights, blocks, N:M. They buy no time in stock runtimes."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..base.errors import SecateurError, nearest
from ..base.extras import require
from .copies import described, functional, paired, rebuilt, settled
from .data import SampleBatches
from .evidence import check_finite, checked, gradients, input_squares
from .inputs import check_model
from .layers.low_rank import unfit
from .options import ZEROS, Options, any_matches, matches
from .patterns import SINGLE, Pattern, parse
from .specs import call_of

if TYPE_CHECKING:
    from keras import Layer, Model, Variable

OTHERS = ("quantized", "bias", "gamma", "beta", "alpha", "lora", "moving", "mean", "variance", "scale", "slope", "seed")
TRANSPOSED = ("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose", "Embedding", "ReversibleEmbedding")
READS = ("Dense", "Conv1D", "Conv2D", "Conv3D", "EinsumDense")  # layers whose kernel reads the last axis of one input


@dataclass(frozen=True, eq=False)
class Kernel:
    """A variable of several axes: `inputs` of them (first in `order`) are summed over, the rest are outputs."""

    name: str
    layer: Layer
    variable: Variable
    order: tuple[int, ...]
    inputs: int

    @property
    def shape(self) -> tuple[int, ...]:
        """The variable's axes in `order`."""
        return tuple(int(self.variable.shape[axis]) for axis in self.order)

    def matrix(self, values: Any) -> Any:
        """`values` of the variable's shape as (inputs, outputs); the channels of an input position are consecutive."""
        shape = self.shape
        rows = int(np.prod(shape[: self.inputs]))
        return np.transpose(values, self.order).reshape(rows, -1)

    def restored(self, matrix: Any) -> Any:
        """Back from `matrix` to the variable's shape."""
        return np.transpose(matrix.reshape(self.shape), np.argsort(self.order))

    @property
    def values(self) -> Floats:
        """The variable's values."""
        return np.asarray(require("keras", "keras").ops.convert_to_numpy(self.variable), np.float32)

    @property
    def reader(self) -> tuple[Any, int] | None:
        """The layer and which of its inputs the kernel multiplies, where its rows are that input's features."""
        if type(self.layer).__name__ not in READS or getattr(self.layer, "groups", 1) > 1:
            return None
        taps = self.shape[: self.inputs - 1]
        is_dense = type(self.layer).__name__ in ("Dense", "EinsumDense")
        return None if is_dense and taps else (self.layer, 0)


def kernels_of(model: Model) -> list[Kernel]:
    """Every variable of two axes or more that multiplies something, once; biases and factors are left out."""
    result: dict[int, Kernel] = {}
    names: set[str] = set()
    for layer in model._flatten_layers():
        for variable in (*layer._trainable_variables, *layer._non_trainable_variables):
            if len(variable.shape) < 2 or id(variable) in result or not _multiplies(variable):
                continue
            name = variable.path
            while name in names:
                name = f"{name}#{len(names)}"
            names.add(name)
            result[id(variable)] = Kernel(name, layer, variable, *_axes(layer, len(variable.shape)))
    return list(result.values())


def _multiplies(variable: Variable) -> bool:
    words = variable.name.lower().split("_")
    return not any(word.startswith(OTHERS) for word in words)


def _axes(layer: Layer, rank: int) -> tuple[tuple[int, ...], int]:
    """The order of a kernel's axes, inputs first, and how many they are."""
    kind = type(layer).__name__
    order = tuple(range(rank))
    if kind in TRANSPOSED:
        return (*order[:-2], order[-1], order[-2]), rank - 1
    equation = getattr(layer, "equation", None)
    if kind == "EinsumDense" and isinstance(equation, str):
        _, kernel, written = "".join(equation.replace("...", "0").split()).replace("->", ",").split(",")
        summed = [axis for axis, label in enumerate(kernel) if label not in written]
        if len(kernel) == rank and summed:
            return (*summed, *(axis for axis in order if axis not in summed)), len(summed)
    if kind.startswith("Depthwise"):  # every output reads one channel: its taps are the inputs
        return order, rank - 2
    return order, rank - 1


Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
Share = float | Callable[[str], float]
CRITERIA = ("magnitude", "taylor", "wanda", "random")  # that score single weights


class SparsePlanner:
    """Plans of a pattern for the kernels of one model; what is removed stays removed in every later plan.

    Raises:
        SecateurError: a name that matches nothing, a criterion that scores no single weights, an amount that the
            pattern does not take.
    """

    def __init__(self, model: Model, options: Options) -> None:
        check_model(model)
        options.check_data(model)
        self.model, self.options = model, options
        self.pattern = parse(options.pattern) or Pattern(SINGLE)
        if options.criterion not in CRITERIA:
            raise SecateurError(
                f"criterion '{options.criterion}' does not score single weights, which pattern '{options.pattern}' "
                f"takes: {', '.join(CRITERIA)} do"
            )
        self.data = None if options.data is None else SampleBatches(options.data, model, options.batch_size)
        self.kernels = self._chosen()
        self.amounts = self._amounts()
        self.variables = {kernel.name: kernel.variable for kernel in self.kernels}
        self.removed: dict[str, Bools] = {k.name: np.zeros(_matrix_shape(k), bool) for k in self.kernels}

    def advance(self, share: Share) -> None:
        """Rank all weights now; `share` of the final amount is removed, of every kernel or by its name."""
        kernels = [kernel for kernel in self.kernels if self.amounts[kernel.name] > 0]
        if self.options.amount == ZEROS:
            for kernel in kernels:
                self.removed[kernel.name] = kernel.matrix(np.abs(kernel.values)) <= self.options.threshold
            return
        scores = self._scores(kernels)
        check_finite(self.options.criterion, scores)
        for kernel in kernels:
            now = share(kernel.name) if callable(share) else share
            values = kernel.matrix(scores[kernel.name]).astype(np.float32)
            values[self.removed[kernel.name]] = -np.inf
            self.removed[kernel.name] |= self.pattern.removed(values, now * self.amounts[kernel.name])

    def masks(self) -> dict[str, Floats]:
        """By name of the kernel, of its shape: 0 where a weight is removed."""
        return {
            kernel.name: kernel.restored(~self.removed[kernel.name]).astype(np.float32)
            for kernel in self.kernels
            if self.removed[kernel.name].any()
        }

    def kept(self) -> float:
        """The share of all parameters that is left."""
        whole = sum(int(np.prod(variable.shape)) for variable in self.model.weights)
        return 1 - sum(int(removed.sum()) for removed in self.removed.values()) / whole

    def inputs(self) -> Any:
        """One batch of inputs, where data was given."""
        return None if self.data is None else self.data.first().x

    def _chosen(self) -> list[Kernel]:
        only, exclude = self.options.only, self.options.exclude
        kernels = kernels_of(self.model)
        names = [name for kernel in kernels for name in _names(kernel)]
        asked = self.options.amount if isinstance(self.options.amount, Mapping) else ()
        for pattern in (*only, *exclude, *asked):
            if not any(matches(name, pattern) for name in names):
                raise SecateurError(f"no layer with a kernel matches '{pattern}'{nearest(pattern, names)}")
        chosen = [
            kernel
            for kernel in kernels
            if not any(any_matches(name, exclude) for name in _names(kernel))
            and (not only or any(any_matches(name, only) for name in _names(kernel)))
        ]
        for kernel in chosen:
            why = unfit(kernel.layer) or (
                "has LoRA: add it to the kernel first" if getattr(kernel.layer, "lora_enabled", False) else ""
            )
            if why:
                raise SecateurError(f"layer '{kernel.layer.name}' {why}, or exclude=['{kernel.layer.name}']")
        if not chosen:
            raise SecateurError(f"model '{self.model.name}' has no kernels that may lose weights")
        return chosen

    def _amounts(self) -> dict[str, float]:
        """By kernel: of its weights, or of the groups of N:M that are thinned in the end."""
        amount, thinned = self.options.amount, self.pattern.kind == "n:m"
        if isinstance(amount, str):
            return {kernel.name: 1.0 for kernel in self.kernels}
        if not isinstance(amount, Mapping):
            whole = 1 - self.pattern.first / self.pattern.second
            if thinned and amount is not None and abs(amount - whole) > 1e-6:
                raise SecateurError(
                    f"pattern {self.options.pattern} removes {whole:g} of every kernel: leave the amount {amount:g} out"
                )
            return {kernel.name: 1.0 if thinned else float(amount or 0) for kernel in self.kernels}
        result = dict.fromkeys((kernel.name for kernel in self.kernels), 0.0)
        for pattern, value in amount.items():
            if not 0 <= value <= 1:
                raise SecateurError(f"amount of '{pattern}' must be from 0 to 1, found {value:g}")
            result |= {k.name: float(value) for k in self.kernels if any(matches(n, pattern) for n in _names(k))}
        return result

    def _scores(self, kernels: list[Kernel]) -> dict[str, Floats]:
        """By kernel, of its shape."""
        name, weights = self.options.criterion, {kernel.name: kernel.values for kernel in kernels}
        if name == "random":
            return {
                n: np.random.default_rng((self.options.seed, zlib.crc32(n.encode()))).random(w.shape, np.float32)
                for n, w in weights.items()
            }
        scores = {n: np.abs(w) for n, w in weights.items()}
        if name == "taylor":  # root of the summed (g * w)^2: Molchanov et al. 2019, arXiv 1906.10771
            sums = {n: np.zeros_like(w) for n, w in weights.items()}
            for batch in checked(self.model, name, self.data):
                slopes = gradients(self.model, batch)
                for kernel in kernels:
                    sums[kernel.name] += (slopes[id(kernel.variable)] * weights[kernel.name]) ** 2
            return sums
        if name == "wanda":  # |w| times the norm of what it multiplies: Sun et al. 2024, arXiv 2306.11695
            unread = [kernel.name for kernel in kernels if kernel.reader is None]
            if unread:
                raise SecateurError(
                    f"criterion 'wanda' knows no inputs of {', '.join(unread[:3])}: exclude its layer, or take "
                    "criterion='magnitude'"
                )
            batches = checked(self.model, name, self.data, loss=False)
            with input_squares({k.name: k.reader for k in kernels if k.reader is not None}) as squares:
                for batch in batches:
                    self.model(batch.x, training=False)
            for kernel in kernels:
                norms = np.sqrt(squares.get(kernel.name, np.float32(0.0)))
                taps = int(np.prod(kernel.shape[: kernel.inputs - 1], dtype=int))
                rows = np.tile(np.broadcast_to(norms, kernel.shape[kernel.inputs - 1]), taps)
                scores[kernel.name] = kernel.restored(kernel.matrix(scores[kernel.name]) * rows[:, None])
        return scores


def sparse_model(planner: SparsePlanner) -> Model:
    """A copy of the planner's model with zeros where weights are removed; not compiled."""
    model = planner.model
    copy = rebuilt(model, deepcopy(described(model, None if functional(model) else call_of(model, planner.inputs()))))
    convert = require("keras", "keras").ops.convert_to_tensor
    masks, names = planner.masks(), {id(kernel.variable): kernel.name for kernel in planner.kernels}
    for old, new in paired(model, copy):
        mask = masks.get(names.get(id(old), ""))
        new.assign(old.value if mask is None else old.value * convert(mask, old.dtype))
    return settled(copy)


def _matrix_shape(kernel: Kernel) -> tuple[int, int]:
    shape = kernel.shape
    return int(np.prod(shape[: kernel.inputs], dtype=int)), int(np.prod(shape[kernel.inputs :], dtype=int))


def _names(kernel: Kernel) -> tuple[str, ...]:
    """As patterns may call a kernel: its path, its layer's name."""
    return kernel.name, kernel.layer.name, kernel.name.split("/")[0]
