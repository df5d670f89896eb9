"""Conformer blocks as `transformers` has them, in ONNX operators: see `families/transformers_ctc/blocks.py`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...export.graph import FARTHEST, Array
from ..ctc.graph import EPSILON, CtcBuilder
from ..whisper.config import AttentionWidths
from .widths import BlockNames, BlockWidths

BASE = 10000.0  # of the sinusoids
BOOL = 9  # ONNX's number


class BlockBuilder(CtcBuilder):
    """Adds blocks; what all of a graph's blocks share is set first."""

    names: BlockNames
    width = 0  # of the residual stream
    size = 0  # of a head
    activation = "silu"
    padding_bias = ""  # mask bias of the attention scores (batch, 1, 1, frames)
    inside = ""  # 1.0 where frames are real (batch, frames, 1)
    distance = ""  # relative positions (2 * frames - 1, width), the most distant first; empty: none
    rotary: tuple[str, str] | None = None  # rotary positions: cosines and sines (1 or batch, frames, 1, size)

    def active(self, x: str) -> str:
        """The activation function."""
        g = self.graph
        return g.add("Gelu", x) if self.activation == "gelu" else g.add("Mul", x, g.add("Sigmoid", x))

    def mask_padding(self, x: str) -> None:
        """Set what tells blocks which frames of `x` (batch, frames, width) are real."""
        g = self.graph
        self.inside = self.real(x, 1, [2])
        self.padding_bias = self.mask_bias(g.add("Cast", g.add("Squeeze", self.inside, g.constant([2])), to=BOOL))

    def distances(self, x: str) -> str:
        """Sinusoids (2 * frames - 1, width) of the distances between frames of `x` (batch, frames, width)."""
        g = self.graph
        last = g.add("Sub", g.add("Squeeze", g.size(x, 1), g.constant([0])), g.constant(1))
        steps = g.add("Range", last, g.add("Sub", g.add("Neg", last), g.constant(1)), g.constant(-1))
        steps = g.add("Mul", steps, g.constant(self.merges.stride))
        rates = BASE ** (-np.arange(0, self.width, 2) / self.width)
        waves = [g.add("Unsqueeze", wave, g.constant([2])) for wave in self._waves(steps, rates, ("Sin", "Cos"))]
        return g.add("Reshape", g.add("Concat", *waves, axis=2), g.constant([-1, self.width]))

    def rotations(self, x: str, rates: Array) -> tuple[str, str]:
        """Cosines and sines (1 or batch, frames, 1, size) of the angles that frames of `x` (batch, frames, width) are
        rotated by."""
        g = self.graph
        doubled = np.concatenate([rates, rates])
        cosine, sine = (
            g.add("Unsqueeze", wave, g.constant([2]))
            for wave in self._waves(self.merges.positions(x), doubled, ("Cos", "Sin"))
        )
        return cosine, sine

    def _waves(self, steps: str, rates: Array, kinds: tuple[str, str]) -> list[str]:
        """Two functions of steps (..., n) times rates (m,): each (..., n, m)."""
        g = self.graph
        column = g.add("Unsqueeze", g.add("Cast", steps, to=1), g.constant([-1]))  # float
        angles = g.add("Mul", column, g.weight("positions.rates", rates.astype(np.float32)[None]))
        return [g.add(kind, angles) for kind in kinds]

    def block(self, x: str, name: str, widths_of_block: BlockWidths) -> str:
        """One block: (batch, frames, width) to the same."""
        g, names = self.graph, self.names
        first, attention, conv, second, last = (f"{name}.{norm}" for norm in names.norms)
        x = g.add("Add", x, self._halved(self.norm(x, first), f"{name}.{names.ffns[0]}"))
        x = g.add("Add", x, self._attended(self.norm(x, attention), f"{name}.{names.attention}", widths_of_block.heads))
        x = g.add("Add", x, self._convolved_channels(self.norm(x, conv), f"{name}.{names.conv}", widths_of_block.conv))
        x = g.add("Add", x, self._halved(self.norm(x, second), f"{name}.{names.ffns[1]}"))
        return self.norm(x, last)

    def _halved(self, x: str, name: str) -> str:
        """A feed-forward whose output counts by half, as before and after attention in a Conformer block."""
        hidden = self.active(self.linear(x, [f"{name}.{self.names.up}"]))
        return self.linear(hidden, [f"{name}.{self.names.down}"], 0.5)

    def _attended(self, x: str, name: str, heads: int) -> str:
        g, inner = self.graph, heads * self.size
        widths, scale = AttentionWidths(heads, self.size, self.size), self.size**-0.5
        parts = [f"{name}.{part}" for part in self.names.projections]
        if self.rotary is None:
            query, keys, values = self.split(self.linear(x, parts, scale), [inner] * 3)
        else:
            query, keys = self.split(self.linear(self._rotated(x), parts[:2], scale), [inner] * 2)
            values = self.linear(x, parts[2:])
        bias = self.padding_bias
        if self.distance:
            content, position = (
                g.weight(f"{name}.{bias}", (self.weights[f"{name}.{bias}"] * scale).ravel().astype(np.float32))
                for bias in self.names.biases
            )
            bias = g.add("Add", bias, self._by_distance(g.add("Add", query, position), name, widths))
            query = g.add("Add", query, content)
        keys, values = self.cache(keys, values, widths)
        return self.linear(self.attend(query, keys, values, bias, widths), [f"{name}.{self.names.out}"])

    def _by_distance(self, query: str, name: str, widths: AttentionWidths) -> str:
        """Relative position scores of scaled queries (batch, frames, heads * size): (batch, heads, frames, frames)."""
        g = self.graph
        table = self.linear(self.distance, [f"{name}.{self.names.positions}"])
        table = g.add("Reshape", table, g.constant([-1, widths.heads, widths.query_key]))
        query = self.heads(query, widths.heads, widths.query_key)
        scores = g.add("MatMul", query, g.add("Transpose", table, perm=[1, 2, 0]))
        # Row i holds the distances frames - 1 - i on: an empty column, and read as if a row were one longer, each
        # starts where it should (Dai et al. 2019, arXiv 1901.02860, appendix B).
        frames, rest = g.size(scores, 2), g.constant([-1])
        scores = g.add("Pad", scores, g.constant([0, 0, 0, 1, 0, 0, 0, 0]))
        scores = g.add("Reshape", scores, g.add("Concat", g.constant([0, 0]), rest, frames, axis=0))
        scores = g.slice(scores, g.constant([1]), g.constant([FARTHEST]), 2)
        scores = g.add("Reshape", scores, g.add("Concat", g.constant([0, 0]), frames, rest, axis=0))
        return g.slice(scores, g.constant([0]), frames, 3)

    def _rotated(self, x: str) -> str:
        """`x` (batch, frames, width), every slice of a head's size rotated by its frame's angles."""
        g, half = self.graph, self.size // 2
        assert self.rotary is not None
        cosine, sine = self.rotary
        slices = g.add("Reshape", x, g.constant([0, 0, -1, self.size]))
        first, second = g.add_many(2, "Split", slices, g.constant([half, self.size - half]), axis=-1)
        across = g.add("Concat", g.add("Neg", second), first, axis=-1)
        turned = g.add("Add", g.add("Mul", slices, cosine), g.add("Mul", across, sine))
        return g.add("Reshape", turned, g.constant([0, 0, self.width]))

    def _convolved_channels(self, x: str, name: str, channels: int) -> str:
        """The convolution module, its norm folded in."""
        g, norm, taps = self.graph, f"{name}.{self.names.norm}", f"{name}.depthwise_conv"
        value, gate = self.split(self.pointwise(x, f"{name}.pointwise_conv1"), [channels, channels])
        x = g.add("Mul", g.add("Mul", value, g.add("Sigmoid", gate)), self.inside)
        weight, bias = self.folded(taps, norm)
        if f"{taps}.bias" in self.weights:
            deviation = np.sqrt(self.weights[f"{norm}.running_var"] + EPSILON)
            bias = bias + self.weights[f"{taps}.bias"] * self.weights[f"{norm}.weight"] / deviation
        half = weight.shape[2] // 2
        x = g.add("Transpose", x, perm=[0, 2, 1])
        x = self.active(self.filters(x, taps, weight, bias, pads=[half, half], group=channels))
        return self.pointwise(g.add("Transpose", x, perm=[0, 2, 1]), f"{name}.pointwise_conv2")

    def pointwise(self, x: str, name: str) -> str:
        """A convolution of one tap over (batch, frames, channels)."""
        weight: Any = self.weights[f"{name}.weight"]
        weight = weight.reshape(len(weight), -1).T
        return self.product(x, name, weight, self.weights.get(f"{name}.bias", np.zeros(weight.shape[1])))
