"""What decoding needs of a network, whatever runs it: encode a batch, step by tokens, pick rows."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..whisper.config import WhisperConfig

State = Any  # belongs to the session that made it; decoding only hands it back
Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


class Session(Protocol):
    """A network that decodes. States are values: `step` and `pick` return new ones and leave the old one usable."""

    @property
    def config(self) -> WhisperConfig:
        """Widths, special tokens and front-end of the network."""

    def encode(self, mel: Floats, frames: Ints | None) -> State:
        """Encode features (batch, frames, mels); `frames` (batch,) counts the real ones of each row, None: all."""

    def step(self, tokens: Ints, state: State) -> tuple[Floats, State]:
        """Feed `tokens` (batch, n); the logits (batch, vocabulary) of what follows the last, and the state after."""

    def attention(self, tokens: Ints, state: State) -> Floats:
        """Feed `tokens` (batch, n); where each one's cross-attention looks: (batch, heads, n, positions).

        Heads are those of all decoder layers. Raises `SecateurError` where a network cannot say.
        """

    def pick(self, state: State, rows: Ints) -> State:
        """The state of the batch rows `rows` (k,): beams reorder or multiply, finished rows leave."""
