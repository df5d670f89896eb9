"""Parity of an exported CTC model with its source, frame by frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..decode.session import Floats
from ..models.network import FrameNetwork
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


def frame_parity_with(expected: Sequence[SourceFrames], folder: str | Path) -> FrameParity:
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


def frame_parity(model: FrameNetwork, folder: str | Path, features: Sequence[Floats]) -> FrameParity:
    """Compare `model` with what was exported to `folder` on features (frames, inputs) of some clips."""
    return frame_parity_with(source_frames(model, features), folder)
