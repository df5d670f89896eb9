"""Frames merged inside an encoder, in ONNX operators: see `models.frame_merging`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...export.graph import FARTHEST
from ...export.layers import LayerBuilder
from ...export.precision import FLOAT
from ...models.frame_merging import SHORT
from .layers import FAR

INT64 = 7  # ONNX's number


class GraphMerges:
    """The merges of one encoder, whose weights are called `name`, in the graph of `b`.

    `real` (batch, 1) is how many frames are real after those merges that were added so far, `stride` how many of the
    first frames each is made of, and `place` (batch, first frames) says, of similar ones, which frame each of the first
    went into (empty: nothing is merged).
    """

    def __init__(self, b: LayerBuilder, name: str, factors: Sequence[float], similar: bool, real: str = "") -> None:
        self._b, self._name, self._factors, self._similar = b, name, factors, similar
        self.real, self.place, self.stride = real, "", 1

    def merges(self, number: int) -> bool:
        """Whether anything is merged after `number` layers."""
        return bool(self._factors) and self._factors[number] > 1

    def after(self, number: int, x: str) -> str:
        """`x` (batch, frames, width), which `number` layers gave, merged."""
        if not self.merges(number):
            return x
        factor, place = self._factors[number], ""
        if self._similar:
            x, self.real, place = merged_similar(self._b, x, self.real, factor)
            self.place = self._b.graph.add("GatherElements", place, self.place, axis=1) if self.place else place
        else:
            x, self.real = merged(self._b, x, self.real, f"{self._name}.{number}", int(factor))
            self.stride *= int(factor)
        return x

    def valid(self, x: str) -> str:
        """The attention mask (batch, frames) of `x` (batch, frames, width)."""
        g = self._b.graph
        return g.add("Less", g.count(g.size(x, 1)), self.real)

    def positions(self, x: str) -> str:
        """Of the first frames the first (1 or batch, frames) in each of `x` (batch, frames, width)."""
        g = self._b.graph
        length = g.size(x, 1)
        if not self.place:
            return g.add("Unsqueeze", g.add("Mul", g.count(length), g.constant(self.stride)), g.constant([0]))
        first = g.size(self.place, 1)
        before = g.add("Pad", self.place, g.constant([0, 1, 0, 0]), g.constant(-1))
        same = g.add("Equal", self.place, g.slice(before, g.constant([0]), first, 1))
        frame = g.add("Add", g.count(first), g.add("Mul", g.add("Cast", same, to=INT64), g.constant(FAR)))
        return g.add_many(2, "TopK", frame, length, axis=1, largest=0)[0]


def merged(b: LayerBuilder, x: str, real: str, name: str, factor: int) -> tuple[str, str]:
    """`factor` neighbours of `x` (batch, positions, width), of which `real` (batch, 1) are real, in one: see
    `models.frame_merging`. Returns the merged positions, and how many are real."""
    g = b.graph
    windows = g.add("Div", g.add("Add", g.size(x, 1), g.constant([factor - 1])), g.constant([factor]))
    first = g.add("Mul", g.count(windows), g.constant(factor))
    last = g.add("Sub", real, g.constant(1))
    weights = b.weights.get(f"{name}.weight")
    taps = []
    for j in range(factor):
        rows = g.add("Min", g.add("Add", first, g.constant(j)), last)
        tap = g.add("GatherND", x, g.add("Unsqueeze", rows, g.constant([2])), batch_dims=1)
        if weights is not None:
            tap = g.add("Mul", tap, g.weight(f"{name}.weight.{j}", weights[j].astype(np.float32)))
        taps.append(tap)
    total = g.add("Sum", *taps)
    if weights is None:
        total = g.add("Mul", total, g.constant(1 / factor, np.float32))
    real = g.add("Div", g.add("Add", real, g.constant(factor - 1)), g.constant(factor))
    return total, real


def merged_similar(b: LayerBuilder, x: str, real: str, factor: float) -> tuple[str, str, str]:
    """The most alike neighbours of `x` (batch, positions, width), of which `real` (batch, 1) are real, merged: see
    `SimilarFrameMerge`. Returns the merged positions, how many are real, and the
    position (batch, positions) that each went into."""
    g = b.graph
    one, zero = g.constant([1]), g.constant([0])

    def number(value: float) -> str:
        return g.constant(value, np.float32)

    length = g.size(x, 1)
    frame = g.count(length)  # (positions,)
    share = g.add("Div", g.add("Cast", real, to=FLOAT), number(factor))
    kept = g.add("Cast", g.add("Ceil", g.add("Sub", share, number(SHORT))), to=INT64)
    norm = g.add("Max", g.add("ReduceL2", x, g.constant([2])), number(1e-12))
    normed = g.add("Div", x, norm)
    # `real` counts are small beside the tables: a zero is put at the end, so that a single frame has neighbours, too.
    pads = g.constant([0, 0, 0, 0, 1, 0])
    after_one = g.slice(g.add("Pad", normed, pads), one, g.constant([FARTHEST]), 1)
    alike = g.add("ReduceSum", g.add("Mul", normed, after_one), g.constant([2]), keepdims=0)  # (batch, positions)
    inside = g.add("Less", g.add("Add", frame, g.constant(1)), real)
    after = g.add("Where", inside, alike, number(-2.0))
    shifted = g.add("Pad", alike, g.constant([0, 1, 0, 0]), number(-2.0))
    before = g.slice(shifted, zero, length, 1)
    odd = g.add("Equal", g.add("Mod", frame, g.constant(2)), g.constant(1))
    may = g.add("And", odd, g.add("Less", frame, real))
    best = g.add("Where", may, g.add("Max", before, after), number(-3.0))
    order = g.add_many(2, "TopK", best, length, axis=1)[1]
    every = g.add("Expand", frame, g.add("Shape", order))
    rank = g.add("ScatterElements", order, order, every, axis=1)
    goes = g.add("Less", rank, g.add("Sub", real, kept))
    right = g.add("And", goes, g.add("Greater", after, before))
    left = g.add("And", goes, g.add("Not", right))
    stays = g.add("And", g.add("Not", goes), g.add("Less", frame, real))
    # Places of those that stay; one that goes has its neighbour's.
    into = g.add("Sub", g.add("Cast", right, to=INT64), g.add("Cast", left, to=INT64))
    index = g.add("CumSum", g.add("Cast", stays, to=INT64), g.constant(1))
    index = g.add("Max", g.add("Sub", index, g.constant(1)), g.constant(0))
    last = g.add("Sub", length, one)
    neighbour = g.add("Max", g.add("Min", g.add("Add", frame, into), last), g.constant(0))
    place = g.add("GatherElements", index, neighbour, axis=1)
    # A frame that stays, and its neighbours if they went into it.
    pad_first, pad_last = g.constant([0, 1, 0, 0, 0, 0]), g.constant([0, 0, 0, 0, 1, 0])

    def moved(values: str, by_one: bool) -> str:
        if by_one:  # from the left neighbour
            return g.slice(g.add("Pad", values, pad_first), zero, length, 1)
        return g.slice(g.add("Pad", values, pad_last), one, g.constant([FARTHEST]), 1)

    from_left = moved(g.add("Unsqueeze", g.add("Cast", right, to=FLOAT), g.constant([2])), True)
    from_right = moved(g.add("Unsqueeze", g.add("Cast", left, to=FLOAT), g.constant([2])), False)
    total = g.add("Sum", x, g.add("Mul", from_left, moved(x, True)), g.add("Mul", from_right, moved(x, False)))
    means = g.add("Div", total, g.add("Sum", number(1.0), from_left, from_right))
    first = g.add("Where", stays, frame, g.add("Add", frame, length))
    most = g.add("ReduceMax", kept, g.constant([0]), keepdims=0)  # (1,)
    rows = g.add_many(2, "TopK", first, most, axis=1, largest=0)[1]
    x = g.add("GatherND", means, g.add("Unsqueeze", rows, g.constant([2])), batch_dims=1)
    return x, kept, place
