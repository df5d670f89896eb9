"""NeMo's features inside the graph, from samples, equal to `features.nemo`, in plain ONNX operators."""

from __future__ import annotations

import numpy as np

from ..features.front_end import FrontEnd
from ..features.kaldi import transform_size
from ..features.nemo import GUARD, LEAST_DEVIATION, tables
from .graph import Array, OnnxGraph


def features_graph(g: OnnxGraph, samples: str, front_end: FrontEnd) -> str:
    """`samples` (batch, n), clips of one length, to features (batch, n // hop, bins), normalised over each clip."""
    f = front_end
    window, filters = tables(f)
    first = g.slice(samples, g.constant([0]), g.constant([1]), 1)
    earlier = g.slice(samples, g.constant([0]), g.constant([-1]), 1)
    later = g.slice(samples, g.constant([1]), g.size(samples, 1), 1)
    share = g.constant(f.preemphasis, np.float32)
    x = g.add("Concat", first, g.add("Sub", later, g.add("Mul", earlier, share)), axis=1)
    padding = f.window // 2
    x = g.add("Unsqueeze", g.add("Pad", x, g.constant([0, padding, 0, padding])), g.constant([1]))
    spectrum = _spectrum(f, window)
    lines = g.add("Conv", x, g.weight("features.spectrum", spectrum[:, None]), strides=[f.hop])
    count = g.add("Div", g.size(samples, 1), g.constant([f.hop]))  # the frame that begins at the clip's end is left out
    lines = g.slice(lines, g.constant([0]), count, 2)
    real, imaginary = g.add_many(2, "Split", lines, g.constant([len(spectrum) // 2] * 2), axis=1)
    power = g.add("Add", g.add("Mul", real, real), g.add("Mul", imaginary, imaginary))
    power = g.add("Transpose", power, perm=[0, 2, 1])
    mel = g.add("MatMul", power, g.weight("features.filters", filters.astype(np.float32)))
    mel = g.add("Log", g.add("Add", mel, g.constant(GUARD, np.float32)))
    centred = g.add("Sub", mel, g.add("ReduceMean", mel, g.constant([1]), keepdims=1))
    squares = g.add("ReduceSum", g.add("Mul", centred, centred), g.constant([1]), keepdims=1)
    degrees = g.add("Max", g.add("Sub", count, g.constant([1])), g.constant([1]))
    variance = g.add("Div", squares, g.add("Cast", degrees, to=1))
    return g.add("Div", centred, g.add("Add", g.add("Sqrt", variance), g.constant(LEAST_DEVIATION, np.float32)))


def _spectrum(front_end: FrontEnd, window: Array) -> Array:
    """Real, then imaginary parts of a windowed frame's spectrum, as one linear map (2 * lines, window)."""
    lines = np.fft.rfft(np.diag(window), transform_size(front_end.window), axis=1)
    return np.ascontiguousarray(np.concatenate([lines.real, lines.imag], 1).T, np.float32)
