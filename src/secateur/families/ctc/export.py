"""Our CTC models as ONNX: of whole clips, and of a chunk with states of the chunks before.

States are the last input frames of convolutions, the hidden states of recurrent layers, and the keys and values of the
`left` frames before a chunk: no frame is computed twice, and the chunks together give what the whole clip gives.
"""

from __future__ import annotations

import numpy as np

from ...base.errors import SecateurError
from ...export.frame_export import FrameExporter
from ...export.graph import FARTHEST, ModelProto, OnnxGraph
from ...export.layers import Weights
from ...runtime.contents import FRAMES_BEFORE, NEXT, PAST
from .config import ConformerBlockWidths, ConformerWidths, CtcConfig
from .graph import CtcBuilder, ctc_graph


def ctc_stream_graph(config: CtcConfig, weights: Weights, precision: str) -> ModelProto:
    """features (1, frames, inputs), heard (1,) and states `past.*` to log_probs (1, shorter, units) and `next.*`.

    All states are zeros when a clip begins. Every chunk but the last has `config.streaming.chunk` frames of output.

    Raises:
        SecateurError: a network that needs the whole clip.
    """
    if config.streaming is None:
        raise SecateurError("this network takes whole clips: only one made with streaming widths can keep states")
    b = StreamBuilder(OnnxGraph("ctc_stream"), weights, precision, True)
    b.streaming = config.streaming
    x = b.graph.input("features", np.float32, (1, "frames", config.front_end.inputs))
    if config.conformer is not None:
        b.graph.input(FRAMES_BEFORE, np.int64, (1,))
    b.graph.output(b.network(x, config), "log_probs", np.float32, (1, "shorter", config.units))
    return b.graph.model({"precision": precision})


class StreamBuilder(CtcBuilder):
    """Adds the sections for one row of a chunk, all of it real."""

    def with_context(
        self, x: str, name: str, axis: int, span: int, sizes: tuple[int, ...]
    ) -> tuple[str, tuple[int, int]]:
        """See `CtcBuilder`: the frames before the chunk are a state instead of zeros."""
        if not span:
            return x, (0, 0)
        shape = [1, *sizes]
        shape.insert(axis, span)
        return self._with_past(x, name, axis, span, tuple(shape)), (0, 0)

    def zero_padding(self, x: str, axis: int, missing: list[int]) -> str:
        """See `CtcBuilder`: there is no padding."""
        return x

    def shorten(self, stride: int) -> None:
        """See `CtcBuilder`: frames are not counted."""

    def state_in(self, name: str, cell: str, units: int) -> list[str]:
        """See `CtcBuilder`: graph inputs with the hidden state, and an LSTM's cell state."""
        kinds = ("hidden",) if cell == "gru" else ("hidden", "cell")
        return [self.graph.input(f"{PAST}{name}.{kind}", np.float32, (1, 1, units)) for kind in kinds]

    def state_out(self, name: str, states: list[str]) -> None:
        """See `CtcBuilder`: graph outputs with the states for the next chunk."""
        for kind, state in zip(("hidden", "cell"), states, strict=False):
            units = len(self.weights[f"{name}.weight_hh_l0"][0])
            self.graph.output(state, f"{NEXT}{name}.{kind}", np.float32, (1, 1, units))

    def distances_and_bias(self, x: str, widths: ConformerWidths) -> tuple[str, str]:
        """See `CtcBuilder`: over the chunk and the cached frames before it; those before the clip's start are
        masked."""
        assert self.streaming is not None
        g, before = self.graph, self.streaming.over(self.left).left
        left = list(range(-before, 0))  # counted from the chunk's first frame
        steps = g.count(g.size(x, 1))
        attended = g.add("Concat", g.constant(left), steps, axis=0) if left else steps
        earlier = g.add("Mul", FRAMES_BEFORE, g.constant(self.left))
        inside = g.add("GreaterOrEqual", g.add("Add", attended, earlier), g.constant(0))
        stride = g.constant(self.merges.stride)
        steps, attended = g.add("Mul", steps, stride), g.add("Mul", attended, stride)
        return self.distance_columns(steps, attended, widths), self.mask_bias(inside, axes=(0, 1, 2))

    def with_cached(self, name: str, keys: str, values: str, block: ConformerBlockWidths) -> tuple[str, str]:
        """See `CtcBuilder`: after those of the `left` frames before."""
        assert self.streaming is not None
        left, a = self.streaming.over(self.left).left, block.attention
        if not left:
            return keys, values
        return (
            self._with_past(keys, f"{name}.keys", 2, left, (1, a.heads, left, a.query_key)),
            self._with_past(values, f"{name}.values", 2, left, (1, a.heads, left, a.value)),
        )

    def _with_past(self, x: str, name: str, axis: int, count: int, shape: tuple[int, ...]) -> str:
        """`x` after the state of `count` frames before it; the last `count` of both are the next state."""
        g = self.graph
        past = g.input(f"{PAST}{name}", np.float32, shape)
        joined = g.add("Concat", past, x, axis=axis)
        following = g.slice(joined, g.constant([-count]), g.constant([FARTHEST]), axis)
        g.output(following, f"{NEXT}{name}", np.float32, shape)
        return joined


EXPORTER = FrameExporter(ctc_graph, ctc_stream_graph)
