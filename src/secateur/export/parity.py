"""Parity of an exported model with its source: probabilities of frames, or logits and greedy tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike

from ..base.errors import SecateurError
from ..decode.rules import Rules
from ..decode.session import DecoderSession, Floats
from ..models.device_session import TorchSession
from ..models.network import FrameNetwork
from ..models.token_network import TokenNetwork
from ..runtime.contents import NETWORK
from ..runtime.onnx_session import load_session


@dataclass(frozen=True)
class FrameParity:
    """How near an exported CTC model is to its source on some clips."""

    clips: int
    clips_equal: int  # clips whose best units are all equal, so that greedy decoding is equal
    frames: int
    frames_equal: int  # frames at which both have the same best unit
    max_difference: float  # of any probability

    @property
    def agreement(self) -> float:
        """Share of frames at which both have the same best unit."""
        return self.frames_equal / self.frames


@dataclass(frozen=True)
class SourceFrames:
    """What a source gave for one clip."""

    features: Floats  # (frames, inputs)
    log_probs: Floats  # (output frames, units)


@torch.no_grad()
def source_frames(model: FrameNetwork, clips: Sequence[Floats]) -> list[SourceFrames]:
    """The log-probabilities of `model` for features (frames, inputs) of some clips."""
    device = next(model.parameters()).device
    model.eval()
    return [SourceFrames(clip, model(torch.from_numpy(clip)[None].to(device))[0][0].cpu().numpy()) for clip in clips]


def frame_parity(expected: Sequence[SourceFrames], folder: str | Path) -> FrameParity:
    """Compare what was exported to `folder` with its source.

    Probabilities are compared, not their logarithms, which differ much where probabilities are near 0.
    """
    network = load_session(Path(folder) / NETWORK, None)
    worst, frames, equal, clips_equal = 0.0, 0, 0, 0
    for clip in expected:
        feed = {"features": clip.features[None], "frames": np.array([len(clip.features)])}
        values = network.run(["log_probs"], feed)[0][0]
        worst = max(worst, float(np.abs(np.exp(clip.log_probs) - np.exp(values)).max()))
        same = clip.log_probs.argmax(1) == values.argmax(1)
        frames, equal, clips_equal = frames + len(same), equal + int(same.sum()), clips_equal + bool(same.all())
    return FrameParity(len(expected), clips_equal, frames, equal, worst)


def check_finite(results: Sequence[ArrayLike]) -> None:
    """Refuse a graph whose outputs hold NaN or infinity.

    Raises:
        SecateurError: there are such values.
    """
    if not all(np.isfinite(result).all() for result in results):
        raise SecateurError("the exported graph gives values that are not finite; are the model's own weights finite?")


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


def parity(expected: Sequence[SourceSteps], session: DecoderSession) -> Parity:
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
