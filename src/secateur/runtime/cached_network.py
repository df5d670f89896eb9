"""A streaming CTC network: its state is an output of one run and an input of the next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..decode.session import Floats
from .contents import FRAMES_BEFORE, NEXT, PAST
from .onnx_session import load_session

State = dict[str, np.ndarray[Any, Any]]


class CachedNetwork:
    """Runs `stream.onnx`. States are values: a run gives a new one and leaves the old one usable.

    Raises:
        SecateurError: a broken file.
    """

    def __init__(self, path: Path, threads: int | None) -> None:
        self._graph = load_session(path, threads)
        inputs = {value.name: value.shape for value in self._graph.get_inputs()}
        self._shapes = {name: shape for name, shape in inputs.items() if name.startswith(PAST)}
        self._counts = FRAMES_BEFORE in inputs
        self._outputs = ["log_probs", *(NEXT + name.removeprefix(PAST) for name in self._shapes)]

    def begin(self) -> State:
        """The state before the first chunk."""
        state: State = {name: np.zeros(shape, np.float32) for name, shape in self._shapes.items()}
        return {**state, FRAMES_BEFORE: np.zeros(1, np.int64)} if self._counts else state

    def run(self, features: Floats, state: State) -> tuple[Floats, State]:
        """Log probabilities (shorter, units) of a chunk's `features` (frames, inputs), and the state after it."""
        log_probs, *states = self._graph.run(self._outputs, {"features": features[None], **state})
        state_after: State = dict(zip(self._shapes, states, strict=True))
        if self._counts:
            state_after[FRAMES_BEFORE] = state[FRAMES_BEFORE] + log_probs.shape[1]
        return log_probs[0], state_after
