"""What may follow what: pure functions on logits `(batch, vocabulary)`, as the Whisper reference applies them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..text.tokens import Tokens
from .session import Floats, Ints

STEP = 0.02  # seconds from one timestamp token to the next
MAX_INITIAL = 1.0  # seconds; the first timestamp is not later


def suppress_mask(tokens: Tokens, vocabulary: int, timestamps: bool) -> Floats:
    """0 for what may be produced, minus infinity for the rest, (vocabulary,).

    Banned are the model's suppress list, every special token after the end token, and timestamps unless asked for.
    """
    mask = np.zeros(vocabulary, np.float32)
    mask[tokens.end + 1 :] = -np.inf
    if timestamps and tokens.timestamps is not None:
        mask[tokens.timestamps : tokens.timestamps + tokens.timestamp_count] = 0
    mask[[i for i in tokens.suppress if i != tokens.end]] = -np.inf
    return mask


def timestamp_rules(logits: Floats, history: Ints, tokens: Tokens) -> Floats:
    """Timestamps come in pairs, do not go back, start within a second, and win when they are likelier together.

    Args:
        logits: (batch, vocabulary), after `suppress_mask`.
        history: (batch, n), the tokens produced so far.
    """
    assert tokens.timestamps is not None
    first, end = tokens.timestamps, tokens.end
    logits = logits.copy()
    if history.shape[1] == 0:
        logits[:, :first] = -np.inf
        logits[:, first + round(MAX_INITIAL / STEP) + 1 :] = -np.inf
        return logits
    is_time = history >= first
    last = is_time[:, -1]
    before = is_time[:, -2] if history.shape[1] > 1 else np.ones_like(last)
    latest = np.where(is_time, history, first - 1).max(1)  # they never go back, so the latest is the largest
    for row in range(len(logits)):
        if last[row] and before[row]:  # a pair is complete: text or the end
            logits[row, first:] = -np.inf
        elif last[row]:  # a segment has ended: the next one's start, or the end
            logits[row, :end] = -np.inf
            logits[row, first : latest[row]] = -np.inf
        else:  # inside a segment, which must not end where it began
            logits[row, first : latest[row] + 1] = -np.inf
    highest_text = logits[:, :first].max(1)
    some = np.isfinite(logits[:, first:].max(1))
    times = np.full(len(logits), -np.inf, np.float32)
    times[some] = log_sum_exp(logits[some, first:])
    logits[times > highest_text, :first] = -np.inf
    return logits


def log_sum_exp(logits: Floats) -> Floats:
    """log of the summed exponentials over the last axis, (batch,)."""
    top = logits.max(-1)
    total: Floats = top + np.log(np.exp(logits - top[:, None]).sum(-1))
    return total


@dataclass(frozen=True)
class Rules:
    """All rules of one model and task, with their masks made once."""

    tokens: Tokens
    timestamps: bool
    always: Floats  # (vocabulary,), added to logits
    at_start: Floats  # the same, for the first token

    @classmethod
    def of(cls, tokens: Tokens, vocabulary: int, timestamps: bool, never: Sequence[int] = ()) -> Rules:
        """The rules for decoding with or without timestamps; text tokens `never` are not produced either."""
        always = suppress_mask(tokens, vocabulary, timestamps)
        always[list(never)] = -np.inf
        at_start = always.copy()
        at_start[list(tokens.suppress_at_start)] = -np.inf
        return cls(tokens, timestamps, always, at_start)

    def apply(self, logits: Floats, history: Ints) -> Floats:
        """Logits (batch, vocabulary) with the impossible at minus infinity; `history` (batch, n) came before."""
        logits = logits + (self.always if history.shape[1] else self.at_start)
        return timestamp_rules(logits, history, self.tokens) if self.timestamps else logits
