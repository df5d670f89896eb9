"""What decoding needs from a network, whatever runs it: encode a batch, step by tokens, pick rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ..features.front_end import FrontEnd
from ..text.tokens import Tokens

State = Any  # belongs to the session that made it; decoding only passes it back
Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


class TokenConfig(Protocol):
    """What decoding reads of an encoder-decoder's config."""

    @property
    def front_end(self) -> FrontEnd:
        """How a clip becomes features."""

    @property
    def tokens(self) -> Tokens:
        """The ids of the special tokens."""

    @property
    def vocabulary(self) -> int:
        """The number of output tokens."""

    @property
    def text_context(self) -> int:
        """Tokens that the decoder holds, the prompt included."""

    @property
    def padded(self) -> bool:
        """Whether clips are padded to the whole window."""

    @property
    def max_seconds(self) -> float:
        """The longest clip, in seconds, that one window can hold."""

    @property
    def window(self) -> int:
        """Samples that one window can hold."""

    @property
    def position_seconds(self) -> float:
        """From one position of the encoder's memory to the next."""

    @property
    def caches(self) -> tuple[tuple[int, int, int], ...]:
        """Heads, and dimensions of a key and a value, that every decoder layer caches for a token."""

    @property
    def memory_values(self) -> int:
        """Values of all cross-attentions' keys and values at one position of the memory."""

    def positions(self, samples: int) -> int:
        """Positions of the memory for a clip of so many samples."""


class DecoderSession(Protocol):
    """A network that decodes. States are values: `step` and `pick` return new ones and leave the old one usable.

    `shows_attention` says whether `attention` answers.
    """

    shows_attention: bool

    @property
    def config(self) -> TokenConfig:
        """Widths, special tokens and front-end of the network."""

    def encode(self, features: Floats, frames: Ints | None) -> State:
        """Encode features (batch, frames, inputs); `frames` (batch,) counts the real ones of each row, None: all."""

    def step(self, tokens: Ints, state: State) -> tuple[Floats, State]:
        """Feed `tokens` (batch, n); the logits (batch, vocabulary) of what follows the last, and the state after."""

    def attention(self, tokens: Ints, state: State) -> Floats:
        """Feed `tokens` (batch, n); where each one's cross-attention looks: (batch, heads, n, positions).

        Heads are those of all decoder layers. Raises `SecateurError` where a network cannot say.
        """

    def pick(self, state: State, rows: Ints) -> State:
        """The state of the batch rows `rows` (k,): beams reorder or multiply, finished rows leave."""


@runtime_checkable
class DeviceDecoder(Protocol):
    """What a session offers besides where whole batches stay on a GPU until their tokens are there."""

    def encode_audio(self, clips: Sequence[Floats], pad_to: int | None, most: int) -> State:
        """Features and encoder of `clips` (samples,), each filled up to `pad_to`, or of at most `most` frames."""

    def prompted(self, tokens: Ints, state: State, split: int, no_speech: int) -> tuple[Any, State, Floats]:
        """Logits after the prompts `tokens` (batch, n), on the device; the state; the probability (batch,) of
        `no_speech` after `split` tokens."""

    def roll(
        self,
        state: State,
        logits: Any,
        rules: Any,
        most: int,
        temperature: float = 0.0,
        draws: NDArray[np.float64] | None = None,
    ) -> list[Any]:
        """One `decode.search.Hypothesis` a row, greedily or by `draws` (batch, most)."""

    def to_bf16(self) -> None:
        """Compute in bf16 from now on."""
