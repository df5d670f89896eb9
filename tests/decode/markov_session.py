"""A session whose next token depends on clip and last token only: small enough to enumerate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from secateur.decode.session import Floats, Ints
from secateur.families.whisper.config import WhisperConfig, uniform
from secateur.text.tokens import Tokens

END = 4  # text tokens are 0..3
START, NO_SPEECH = 5, 6
VOCABULARY = 7
TOKENS = Tokens(start=START, end=END, no_speech=NO_SPEECH, suppress_at_start=(END,))


def chain(seed: int, clips: int) -> Floats:
    """Random logits (clips, last token, next token)."""
    return (1.5 * np.random.default_rng(seed).standard_normal((clips, VOCABULARY, VOCABULARY))).astype(np.float32)


@dataclass(frozen=True)
class MarkovState:
    """Which clip each row is of, and what it has read."""

    clips: Ints
    read: Ints


class MarkovSession:
    """Decodes the chains `tables` (clips, last, next)."""

    shows_attention = False

    def __init__(self, tables: Floats) -> None:
        self.tables, self.steps = tables, 0

    @property
    def config(self) -> WhisperConfig:
        return uniform(
            width=4, heads=1, ffn=4, encoder_layers=1, decoder_layers=1, vocabulary=VOCABULARY, tokens=TOKENS,
            audio_context=50, text_context=40, bins=8,
        )  # fmt: skip

    def encode(self, features: Floats, frames: Ints | None) -> MarkovState:
        return MarkovState(np.arange(len(features)), np.zeros((len(features), 0), np.int64))

    def step(self, tokens: Ints, state: MarkovState) -> tuple[Floats, MarkovState]:
        self.steps += 1
        return self.tables[state.clips, tokens[:, -1]], MarkovState(state.clips, np.hstack([state.read, tokens]))

    def pick(self, state: MarkovState, rows: Ints) -> MarkovState:
        return MarkovState(state.clips[rows], state.read[rows])

    def log_prob(self, clip: int, tokens: tuple[int, ...]) -> float:
        """Log probability of `tokens` and the end, under the rules (no end first, nothing special)."""
        total, last = 0.0, START
        for position, token in enumerate((*tokens, END)):
            logits = self.tables[clip, last, : END + 1].astype(np.float64)
            if position == 0:
                logits[END] = -np.inf
            total += logits[token] - np.log(np.exp(logits).sum())
            last = token
        return float(total)
