"""What stays takes over from what goes, by least squares on given inputs (He et al. 2017, arXiv 1707.06168)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..base.errors import SecateurError
from ..base.extras import require
from .data import SampleBatches
from .evidence import listening
from .layers.dense import channel_axis
from .structure import Structure

if TYPE_CHECKING:
    from keras import Layer, Model

Floats = NDArray[np.float64]
LARGEST = 4096  # inputs of a kernel; wider ones are only masked
DAMP = 0.01


@dataclass(frozen=True)
class InputReader:
    """A kernel as a matrix (inputs, outputs) of what its layer reads: features, or taps times features."""

    name: str
    layer: Layer
    position: int  # of the layer's inputs
    kernel: Any
    axis: int  # of the kernel, that the features are along
    bias: Any

    def matrix(self, values: Floats) -> Floats:
        """Kernel values as (inputs, outputs), features last among the inputs."""
        return values.reshape(int(np.prod(values.shape[: self.axis + 1])), -1)

    def rows(self, value: Floats) -> Floats | None:
        """What each output position reads, (positions, inputs); None for strided patches that are not known here."""
        value = np.moveaxis(value, channel_axis(self.layer, value.ndim), -1)
        taps = tuple(self.kernel.shape[: self.axis])
        if not taps or set(taps) == {1}:
            return value.reshape(-1, value.shape[-1])
        if len(taps) > 1:
            return None
        span = (taps[0] - 1) * self.layer.dilation_rate[0] + 1
        before, after = {"valid": (0, 0), "causal": (span - 1, 0)}.get(
            self.layer.padding, ((span - 1) // 2, span - 1 - (span - 1) // 2)
        )
        value = np.pad(value, ((0, 0), (before, after), (0, 0)))
        if value.shape[1] < span:
            return None
        windows = np.lib.stride_tricks.sliding_window_view(value, span, axis=1)[..., :: self.layer.dilation_rate[0]]
        return np.swapaxes(windows, 2, 3).reshape(-1, taps[0] * value.shape[-1])


def readers_of(structure: Structure) -> list[InputReader]:
    """Kernels whose inputs are known: dense ones, convolutions over one axis or of one tap, recurrent inputs."""
    result = []
    for name, use in structure.channels.uses.items():
        if use.reader is None or len(use.reads) != 1:
            continue
        layer, position = use.reader
        (axis,) = use.reads
        kind = type(layer).__name__
        taps = tuple(use.variable.shape[:axis])
        depthwise = kind.startswith(("Depthwise", "Separable")) or "Transpose" in kind
        if depthwise or getattr(layer, "lora_enabled", False) or (len(taps) > 1 and set(taps) != {1}):
            continue
        inputs = int(np.prod(use.variable.shape[: axis + 1]))
        if inputs <= LARGEST:
            result.append(InputReader(name, layer, position, use.variable, axis, _bias(layer, use.variable)))
    return result


def _bias(layer: Layer, kernel: object) -> Any:
    """The variable that is added to what a kernel gives; None where there is none."""
    parts = [layer, getattr(layer, "cell", None)]
    parts += [getattr(layer, f"{name}_dense", None) for name in ("query", "key", "value")]
    owner = next((one for one in parts if one is not None and getattr(one, "kernel", None) is kernel), None)
    return getattr(owner, "bias", None)


@contextmanager
def refitted(model: Model, before: Structure, after: Structure, data: SampleBatches) -> Iterator[None]:
    """The model with refitted weights, put back at the end of the block."""
    ops = require("keras", "keras").ops
    variables = {id(v): v for one in readers_of(before) for v in (one.kernel, one.bias) if v is not None}
    old = {key: np.array(ops.convert_to_numpy(v)) for key, v in variables.items()}
    try:
        refit(model, before, after, data)
        yield
    finally:
        for key, variable in variables.items():
            variable.assign(old[key])


def refit(model: Model, before: Structure, after: Structure, data: SampleBatches) -> list[str]:
    """Refit in place every kernel that reads units which `after` lacks and `before` has: its other inputs and its bias
    give, with the least squared error on `data`, what all its inputs gave. The kernels' names.

    Raises:
        SecateurError: inputs that are not finite.
    """
    lost = {}
    for reader in readers_of(before):
        ids = before.channels.uses[reader.name].dims[reader.axis]
        newly = before.alive[ids] & ~after.alive[ids]
        if newly.any():
            lost[reader.name] = (reader, after.alive[ids])
    moments = _moments(model, {name: reader for name, (reader, _) in lost.items()}, data)
    ops = require("keras", "keras").ops
    for name, (reader, stays) in lost.items():
        if name not in moments:
            continue
        taps = int(np.prod(tuple(reader.kernel.shape)[: reader.axis]))
        values = np.asarray(ops.convert_to_numpy(reader.kernel), np.float64)
        bias = None if reader.bias is None else np.asarray(ops.convert_to_numpy(reader.bias), np.float64)
        matrix, moved = solved(reader.matrix(values), np.tile(stays, taps), moments[name], bias is not None)
        reader.kernel.assign(matrix.reshape(values.shape))
        if bias is not None:  # recurrent layers of two biases: the first is the inputs'
            first = bias[0] if bias.ndim == 2 and bias.size != moved.size else bias
            first += moved.reshape(first.shape)
            reader.bias.assign(bias)
    return sorted(moments)


def solved(kernel: Floats, stays: NDArray[np.bool_], moments: Floats, bias: bool) -> tuple[Floats, Floats]:
    """The kernel (inputs, outputs) refitted to the inputs that stay, zero elsewhere, and what is added to its bias.

    Minimises |[x, 1] W - [x_stays, 1] V|^2 + ridge |V - W_stays|^2 for the second moments (inputs + 1, inputs + 1) of
    [x, 1]; the ridge, 0.01 of the mean of their diagonal, keeps V near the trained weights.
    """
    kept = np.flatnonzero(np.append(stays, bias))
    removed = np.flatnonzero(~stays)
    gram = moments[np.ix_(kept, kept)]
    gram = gram + (DAMP * moments.diagonal()[:-1].mean() + 1e-12) * np.eye(len(kept))
    moved = np.linalg.solve(gram, moments[np.ix_(kept, removed)] @ kernel[removed])
    result = kernel.copy()
    result[removed] = 0
    inside = kept[kept < len(stays)]
    result[inside] += moved[: len(inside)]
    return result, moved[-1] if bias else np.zeros(kernel.shape[1])


def _moments(model: Model, readers: Mapping[str, InputReader], data: SampleBatches) -> dict[str, Floats]:
    """Mean of [x, 1]^T [x, 1] over all positions, by kernel."""
    sums: dict[str, Floats] = {}
    counts: dict[str, int] = {}

    def note(name: str, value: object) -> None:
        rows = readers[name].rows(np.asarray(value, np.float64))
        if rows is None:
            return
        rows = np.concatenate([rows, np.ones((len(rows), 1))], 1)
        sums[name] = sums.get(name, 0.0) + rows.T @ rows
        counts[name] = counts.get(name, 0) + len(rows)

    with listening({name: (reader.layer, reader.position) for name, reader in readers.items()}, note):
        for batch in data:
            model(batch.x, training=False)
    for name, total in sums.items():
        if not np.isfinite(total).all():
            raise SecateurError(f"refit: what '{name}' reads is not finite: does the training diverge?")
    return {name: total / counts[name] for name, total in sums.items()}
