"""The model that is exported: spectrograms as convolutions, states of stateful layers as inputs and outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base.extras import require
from .copies import functional

if TYPE_CHECKING:
    from keras import KerasTensor, Layer, Model, Operation

RECURRENT = ("LSTM", "GRU", "SimpleRNN")


@dataclass
class _Rewritten:
    """What is collected on the way through a model."""

    states: list[Any] = field(default_factory=list)  # new inputs, in order
    after: list[Any] = field(default_factory=list)  # their values after the call
    changed: bool = False


def plain_model(model: Model) -> tuple[Any, int]:
    """A model of the same layers that formats have operations for, and how many states it has; the model itself where
    nothing is to be changed.

    MelSpectrogram and `ops.stft` become a convolution with the windowed Fourier basis, which is the same sum. A
    stateful recurrent layer gets its states as further inputs of the model and gives them as further outputs, both in
    the layers' order: the caller carries them from chunk to chunk, zeros at first.
    """
    keras = require("keras", "keras")
    if not functional(model) or not any(_is_rewritten(one) for one in _operations(model)):
        return model, 0
    notes = _Rewritten()
    inputs = keras.tree.map_structure(_fresh, getattr(model, "_functional", model)._inputs_struct)
    outputs = _through(model, inputs, notes)
    if not notes.changed:
        return model, 0
    given = [*keras.tree.flatten(inputs), *notes.states] if notes.states else inputs
    results = [*keras.tree.flatten(outputs), *notes.after] if notes.after else outputs
    return keras.Model(given, results, name=model.name), len(notes.states)


def _operations(model: Model) -> list[Any]:
    keras = require("keras", "keras")
    graph = getattr(model, "_functional", model)
    inner = [one for one in graph.operations if isinstance(one, keras.Model) and functional(one)]
    return [*graph.operations, *(part for one in inner for part in _operations(one))]


def _is_rewritten(operation: Operation) -> bool:
    kind = type(operation)
    if kind.__module__.split(".")[0] != "keras":
        return False
    stateful = kind.__name__ in RECURRENT and getattr(operation, "stateful", False)
    return stateful or kind.__name__ in ("MelSpectrogram", "STFT")


def _fresh(tensor: KerasTensor) -> Any:
    keras = require("keras", "keras")
    return keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=tensor.name)


def _through(model: Model, inputs: object, notes: _Rewritten) -> Any:
    """The outputs of a model's graph on new tensors."""
    keras = require("keras", "keras")

    def called(operation: Operation) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if isinstance(operation, keras.Model) and functional(operation) and len(args) == 1:
                return _through(operation, args[0], notes)
            if not _is_rewritten(operation):
                return operation(*args, **kwargs)
            kind = type(operation).__name__
            if kind in RECURRENT:
                notes.changed = True
                return _with_states(operation, args[0], notes)
            if len(args[0].shape) != 2:
                return operation(*args, **kwargs)
            notes.changed = True
            if kind == "STFT":
                options = (operation.sequence_length, operation.sequence_stride, operation.fft_length)
                return _fourier(args[0], *options, operation.window, operation.center)
            return _mel(operation, args[0])

        return call

    return getattr(model, "_functional", model)._run_through_graph(inputs, operation_fn=called)


def _with_states(layer: Layer, x: Any, notes: _Rewritten) -> Any:
    """The same layer without a state of its own."""
    keras = require("keras", "keras")
    batch = x.shape[0]
    states = [keras.Input(batch_shape=(batch, layer.units)) for _ in range(2 if type(layer).__name__ == "LSTM" else 1)]
    copy = type(layer).from_config({**layer.get_config(), "stateful": False, "return_state": True})
    output, *after = copy(x, initial_state=states if len(states) > 1 else states[0])
    for name in ("kernel", "recurrent_kernel", "bias"):
        if getattr(copy.cell, name) is not None:
            getattr(copy.cell, name).assign(getattr(layer.cell, name))
    notes.states += states
    notes.after += after
    return [output, *after] if layer.return_state else output


def _fourier(x: object, length: int, stride: int, fft_length: int, window: object, center: bool) -> tuple[Any, Any]:
    """Real and imaginary parts (batch, frames, bins) of `ops.stft` for samples (batch, samples)."""
    keras = require("keras", "keras")
    ops = keras.ops
    one = np.eye(fft_length, dtype=np.float32)  # what each sample of a frame gives
    basis: Sequence[Any] = ops.stft(one, length, stride, fft_length, window, center=False)
    kernel = np.concatenate([np.asarray(ops.convert_to_numpy(part))[:, 0] for part in basis], 1)  # (samples, 2 * bins)
    if center:
        x = ops.pad(x, [[0, 0], [fft_length // 2, fft_length // 2]], mode="reflect")
    convolution = keras.layers.Conv1D(kernel.shape[1], fft_length, strides=stride, use_bias=False, trainable=False)
    values = convolution(ops.expand_dims(x, -1))
    convolution.set_weights([kernel[:, None]])
    real, imaginary = ops.split(values, 2, axis=-1)
    return real, imaginary


def _mel(layer: Layer, x: object) -> Any:
    """MelSpectrogram of samples (batch, samples): (batch, bins, frames)."""
    keras = require("keras", "keras")
    ops = keras.ops
    options = (layer.sequence_length, layer.sequence_stride, layer.fft_length)
    real, imaginary = _fourier(x, *options, layer.window, True)
    spectrum = ops.sqrt(ops.square(real) + ops.square(imaginary)) ** float(layer.mag_exp)
    matrix = layer.linear_to_mel_weight_matrix(
        num_mel_bins=layer.num_mel_bins,
        num_spectrogram_bins=layer.fft_length // 2 + 1,
        sampling_rate=layer.sampling_rate,
        lower_edge_hertz=layer.min_freq,
        upper_edge_hertz=layer.max_freq,
    )
    mel = keras.layers.Dense(layer.num_mel_bins, use_bias=False, trainable=False)
    values = mel(spectrum)
    mel.set_weights([np.asarray(ops.convert_to_numpy(matrix))])
    if layer.power_to_db:
        values = 10.0 * ops.log10(ops.maximum(values, layer.min_power))
        values = values - float(10.0 * np.log10(max(abs(layer.ref_power), layer.min_power)))
        values = ops.maximum(values, ops.max(values) - layer.top_db)
    return ops.swapaxes(values, -1, -2)
