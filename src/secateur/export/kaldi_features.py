"""Kaldi's features (fbank, mfcc) inside the graph, from samples, equal to `features.front_end.extract`.

Kaldi's steps on a frame before its spectrum are linear: mean, pre-emphasis, window and Fourier transform are one
convolution over the samples.
"""

from __future__ import annotations

import numpy as np

from ..base.errors import SecateurError
from ..features.filterbank import DELTA_CONTEXT, LEAST_DEVIATION, SCALE
from ..features.front_end import FrontEnd
from ..features.kaldi import FLOOR, cepstrum, needed, transform_size, window_of
from .graph import FARTHEST, Array, OnnxGraph


def features_graph(g: OnnxGraph, samples: str, front_end: FrontEnd) -> str:
    """`samples` (batch, n), clips of one length, to features (batch, frames, inputs).

    Raises:
        SecateurError: Kaldi's energy, which is not implemented here.
    """
    tables = needed(front_end)
    if tables.energy:
        raise SecateurError("features inside the graph cannot have Kaldi's energy (front_end.energy)")
    spectrum = _spectrum(front_end)
    x = g.add("Unsqueeze", samples if front_end.snip_edges else _mirrored(g, samples, front_end), g.constant([1]))
    lines = g.add("Conv", x, g.weight("features.spectrum", spectrum[:, None]), strides=[front_end.hop])
    real, imaginary = g.add_many(2, "Split", lines, g.constant([len(spectrum) // 2] * 2), axis=1)
    power = g.add("Add", g.add("Mul", real, real), g.add("Mul", imaginary, imaginary))
    power = g.add("Transpose", power, perm=[0, 2, 1])
    mel = g.add("MatMul", power, g.weight("features.filters", tables.filters.astype(np.float32)))
    x = g.add("Log", g.add("Max", mel, g.constant(FLOOR, np.float32)))
    if front_end.coefficients:
        x = g.add("MatMul", x, g.weight("features.cepstrum", cepstrum(front_end)))
    x = _deltas(g, x, front_end.deltas)
    if tables.columns is not None:
        x = g.add("Gather", x, g.constant(list(tables.columns)), axis=2)
    return _normalised(g, x, front_end.normalise)


def _spectrum(front_end: FrontEnd) -> Array:
    """Real, then imaginary parts of the lines that filters read, as one linear map (2 * lines, window) of a frame."""
    tables, share = needed(front_end), front_end.preemphasis
    frames = np.eye(front_end.window) * front_end.full_scale  # what each sample of a frame becomes
    if front_end.remove_dc:
        frames -= frames.mean(1, keepdims=True)
    frames = frames - share * np.concatenate([frames[:, :1], frames[:, :-1]], 1)
    frames *= window_of(front_end.window_shape, front_end.window)
    lines = np.fft.rfft(frames, transform_size(front_end.window), axis=1)
    lines = lines[:, tables.first : tables.first + len(tables.filters)]
    return np.ascontiguousarray(np.concatenate([lines.real, lines.imag], 1).T, np.float32)


def _mirrored(g: OnnxGraph, samples: str, front_end: FrontEnd) -> str:
    """The samples that frames cover: the clip's ends repeated backwards, as `features.fbank` does it."""
    before = front_end.window // 2 - front_end.hop // 2
    count = g.size(samples, 1)
    frames = g.add("Div", g.add("Add", count, g.constant([front_end.hop // 2])), g.constant([front_end.hop]))
    covered = g.add(
        "Add",
        g.add("Mul", g.add("Sub", frames, g.constant([1])), g.constant([front_end.hop])),
        g.constant([front_end.window - before]),
    )
    after = g.add("Sub", covered, count)
    head = g.slice(samples, g.constant([before - 1]), g.constant([-FARTHEST]), 1, -1)
    tail = g.slice(samples, g.constant([-1]), g.add("Sub", g.constant([-1]), after), 1, -1)
    return g.add("Concat", head, samples, tail, axis=1)


def _deltas(g: OnnxGraph, x: str, order: int) -> str:
    """Derivatives after the features (batch, frames, statics), as `features.deltas` computes them."""
    if order == 0:
        return x

    def between(values: str, start: int, end: int) -> str:
        return g.slice(values, g.constant([start]), g.constant([end or FARTHEST]), 1)

    context = DELTA_CONTEXT * order
    around = g.add("Pad", x, g.constant([0, context, 0, 0, context, 0]), mode="edge")
    orders = [x]
    for remaining in reversed(range(order)):
        near = g.add("Sub", between(around, 3, -1), between(around, 1, -3))
        far = g.add("Mul", g.add("Sub", between(around, 4, 0), between(around, 0, -4)), g.constant(2, np.float32))
        around = g.add("Mul", g.add("Add", near, far), g.constant(SCALE, np.float32))
        orders.append(between(around, DELTA_CONTEXT * remaining, -DELTA_CONTEXT * remaining) if remaining else around)
    return g.add("Concat", *orders, axis=2)


def _normalised(g: OnnxGraph, x: str, kind: str) -> str:
    """As `features.normalise`."""
    if kind == "none":
        return x
    x = g.add("Sub", x, g.add("ReduceMean", x, g.constant([1]), keepdims=1))
    if kind == "mean":
        return x
    deviation = g.add("Sqrt", g.add("ReduceMean", g.add("Mul", x, x), g.constant([1]), keepdims=1))
    return g.add("Div", x, g.add("Max", deviation, g.constant(LEAST_DEVIATION, np.float32)))
