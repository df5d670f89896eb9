"""Parity of an exported encoder-decoder with its source: logits and greedy tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..decode.rules import Rules
from ..decode.session import DecoderSession, Floats
from ..models.token_network import TokenNetwork
from ..models.torch_session import TorchSession


@dataclass(frozen=True)
class Parity:
    """How near an exported model is to its source on some clips.

    Both are fed the source's greedy tokens, so `steps_equal == steps` means that free greedy decoding is equal too.
    """

    clips: int
    clips_equal: int  # clips whose greedy tokens are all equal
    steps: int
    steps_equal: int  # steps at which both choose the same token
    max_difference: float  # of any logit at any step

    @property
    def agreement(self) -> float:
        """Share of steps at which both choose the same token."""
        return self.steps_equal / self.steps


def parity(model: TokenNetwork, session: DecoderSession, clips: Sequence[Floats], limit: int = 48) -> Parity:
    """Compare `model` with the exported `session` on features (frames, inputs) of some `clips`.

    Each clip is decoded greedily by `model`, up to the end token or `limit` tokens.
    """
    source = TorchSession(model)
    tokens = model.config.tokens
    rules = Rules.of(tokens, model.config.vocabulary, timestamps=False)
    prompt = tokens.prompt()
    limit = min(limit, model.config.text_context - len(prompt))
    worst, steps, equal, clips_equal = 0.0, 0, 0, 0
    for clip in clips:
        states = [source.encode(clip[None], None), session.encode(clip[None], None)]
        step, history, same = np.array([prompt]), np.zeros((1, 0), np.int64), True
        while history.shape[1] < limit:
            (source_values, states[0]), (export_values, states[1]) = (
                source.step(step, states[0]),
                session.step(step, states[1]),
            )
            worst = max(worst, float(np.abs(source_values - export_values).max()))
            step = rules.apply(source_values, history).argmax(1)[:, None]
            agrees = bool(rules.apply(export_values, history).argmax(1)[0] == step[0, 0])
            steps, equal, same = steps + 1, equal + agrees, same and agrees
            if step[0, 0] == tokens.end:
                break
            history = np.concatenate([history, step], 1)
        clips_equal += same
    return Parity(len(clips), clips_equal, steps, equal, worst)
