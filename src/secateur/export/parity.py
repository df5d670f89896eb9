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


@dataclass(frozen=True)
class SourceSteps:
    """What a source gave for one clip: its greedy tokens, and the logits (vocabulary,) after the prompt and each of
    them."""

    features: Floats  # (frames, inputs)
    tokens: list[int]
    logits: list[Floats]


def source_steps(model: TokenNetwork, clips: Sequence[Floats], limit: int = 48) -> list[SourceSteps]:
    """Decode features (frames, inputs) of some `clips` greedily with `model`, up to the end token or `limit` tokens."""
    session = TorchSession(model)
    config = session.config
    rules, prompt = Rules.of(config.tokens, config.vocabulary, timestamps=False), config.tokens.prompt()
    limit = min(limit, config.text_context - len(prompt))
    decoded = []
    for clip in clips:
        state, step, tokens, logits = session.encode(clip[None], None), np.array([prompt]), list[int](), list[Floats]()
        while len(tokens) < limit:
            values, state = session.step(step, state)
            step = rules.apply(values, np.array([tokens], np.int64).reshape(1, -1)).argmax(1)[:, None]
            logits.append(values[0])
            tokens.append(int(step[0, 0]))
            if tokens[-1] == config.tokens.end:
                break
        decoded.append(SourceSteps(clip, tokens, logits))
    return decoded


def parity_with(expected: Sequence[SourceSteps], session: DecoderSession) -> Parity:
    """Compare an exported model's logits with its source's, whose tokens it is fed."""
    config = session.config
    rules, prompt = Rules.of(config.tokens, config.vocabulary, timestamps=False), config.tokens.prompt()
    worst, steps, equal, clips_equal = 0.0, 0, 0, 0
    for clip in expected:
        state, step, same = session.encode(clip.features[None], None), np.array([prompt]), True
        for number, (token, source_values) in enumerate(zip(clip.tokens, clip.logits, strict=True)):
            values, state = session.step(step, state)
            worst = max(worst, float(np.abs(source_values - values[0]).max()))
            history = np.array([clip.tokens[:number]], np.int64).reshape(1, -1)
            agrees = bool(rules.apply(values, history).argmax(1)[0] == token)
            steps, equal, same = steps + 1, equal + agrees, same and agrees
            step = np.array([[token]])
        clips_equal += same
    return Parity(len(expected), clips_equal, steps, equal, worst)


def parity(model: TokenNetwork, session: DecoderSession, clips: Sequence[Floats], limit: int = 48) -> Parity:
    """Compare `model` with the exported `session` on features (frames, inputs) of some `clips`.

    Each clip is decoded greedily by `model`, up to the end token or `limit` tokens.
    """
    return parity_with(source_steps(model, clips, limit), session)
