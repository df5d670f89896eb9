"""The graph of a streaming CTC model that hears one chunk and remembers what it needs of those before.

Convolutions keep the frames that the next chunk's first outputs look back at, recurrent layers their state, attention
the keys and values of the `left` frames before a chunk: nothing is heard twice, and the chunks together give what the
whole clip gives.
"""

from __future__ import annotations

import numpy as np

from ...base.errors import SecateurError
from ...export.graph import FARTHEST, Graph, ModelProto
from ...export.layers import Weights
from ...runtime.contents import FRAMES_BEFORE, NEXT, PAST
from .config import BlockWidths, ConformerWidths, CtcConfig
from .graph import CtcBuilder


def ctc_stream_graph(config: CtcConfig, weights: Weights, precision: str) -> ModelProto:
    """features (1, frames, inputs), heard (1,) and states `past.*` to log_probs (1, shorter, units) and `next.*`.

    All states are zeros when a clip begins. Every chunk but the last has `config.streaming.chunk` frames of output.

    Raises:
        SecateurError: a network that needs the whole clip.
    """
    if config.streaming is None:
        raise SecateurError("this network takes whole clips: only one made with streaming widths can keep states")
    b = StreamBuilder(Graph("ctc_stream"), weights, precision, True)
    b.streaming = config.streaming
    x = b.graph.input("features", np.float32, (1, "frames", config.front_end.inputs))
    if config.conformer is not None:
        b.graph.input(FRAMES_BEFORE, np.int64, (1,))
    b.graph.output(b.network(x, config), "log_probs", np.float32, (1, "shorter", config.units))
    return b.graph.model({"precision": precision})


class StreamBuilder(CtcBuilder):
    """Adds the sections for one row of a chunk, all of it real."""

    def around(self, x: str, name: str, axis: int, reach: int, sizes: tuple[int, ...]) -> tuple[str, tuple[int, int]]:
        """The frames before the chunk are remembered, not made of zeros."""
        if not reach:
            return x, (0, 0)
        shape = [1, *sizes]
        shape.insert(axis, reach)
        return self._after_the_past(x, name, axis, reach, tuple(shape)), (0, 0)

    def silent(self, x: str, axis: int, missing: list[int]) -> str:
        """Nothing is padding."""
        return x

    def shorten(self, stride: int) -> None:
        """Nobody counts."""

    def memory(self, name: str, cell: str, units: int) -> list[str]:
        """One state, an LSTM's cell too."""
        kinds = ("hidden",) if cell == "gru" else ("hidden", "cell")
        return [self.graph.input(f"{PAST}{name}.{kind}", np.float32, (1, 1, units)) for kind in kinds]

    def remember(self, name: str, states: list[str]) -> None:
        """As it was given."""
        for kind, state in zip(("hidden", "cell"), states, strict=False):
            units = len(self.weights[f"{name}.weight_hh_l0"][0])
            self.graph.output(state, f"{NEXT}{name}.{kind}", np.float32, (1, 1, units))

    def sight(self, x: str, widths: ConformerWidths) -> tuple[str, str]:
        """The chunk, and the remembered frames that lie within the clip."""
        assert self.streaming is not None
        g, left = self.graph, list(range(-self.streaming.left, 0))  # counted from the chunk's first frame
        steps = g.count(g.size(x, 1))
        seen = g.add("Concat", g.constant(left), steps, axis=0) if left else steps
        inside = g.add("GreaterOrEqual", g.add("Add", seen, FRAMES_BEFORE), g.constant(0))
        return self.apart(steps, seen, widths), self.mask_bias(inside, axes=(0, 1, 2))

    def earlier(self, name: str, keys: str, values: str, own: BlockWidths) -> tuple[str, str]:
        """After those of `left` frames before."""
        assert self.streaming is not None
        left, a = self.streaming.left, own.attention
        if not left:
            return keys, values
        return (
            self._after_the_past(keys, f"{name}.keys", 2, left, (1, a.heads, left, a.query_key)),
            self._after_the_past(values, f"{name}.values", 2, left, (1, a.heads, left, a.value)),
        )

    def _after_the_past(self, x: str, name: str, axis: int, count: int, shape: tuple[int, ...]) -> str:
        """`x` after the last `count` frames before it; of both together the last ones are what comes next needs."""
        g = self.graph
        past = g.input(f"{PAST}{name}", np.float32, shape)
        joined = g.add("Concat", past, x, axis=axis)
        following = g.slice(joined, g.constant([-count]), g.constant([FARTHEST]), axis)
        g.output(following, f"{NEXT}{name}", np.float32, shape)
        return joined
