"""Does an exported CTC model say what its source says? Frame by frame, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ..models.network import FrameNetwork
from ..runtime.contents import NETWORK


@dataclass(frozen=True)
class FrameParity:
    """How near an exported CTC model is to its source on some clips."""

    clips: int
    clips_equal: int  # clips whose best units are all equal: greedy decoding is
    frames: int
    frames_equal: int  # frames at which both hold the same unit for the best
    max_difference: float  # of any probability

    @property
    def agreement(self) -> float:
        """Share of frames at which both hold the same unit for the best."""
        return self.frames_equal / self.frames


@torch.no_grad()
def frame_parity(model: FrameNetwork, folder: str | Path, features: Sequence[NDArray[np.float32]]) -> FrameParity:
    """Compare `model` with what was exported to `folder` on features (frames, inputs) of some clips.

    Probabilities are compared, not their logarithms, which differ by much where nothing was heard.
    """
    import onnxruntime

    network = onnxruntime.InferenceSession(Path(folder) / NETWORK, providers=["CPUExecutionProvider"])
    device = next(model.parameters()).device
    worst, frames, equal, clips_equal = 0.0, 0, 0, 0
    for clip in features:
        ours = model(torch.from_numpy(clip)[None].to(device))[0][0].cpu().numpy()
        theirs = network.run(["log_probs"], {"features": clip[None], "frames": np.array([len(clip)])})[0][0]
        worst = max(worst, float(np.abs(np.exp(ours) - np.exp(theirs)).max()))
        same = ours.argmax(1) == theirs.argmax(1)
        frames, equal, clips_equal = frames + len(same), equal + int(same.sum()), clips_equal + bool(same.all())
    return FrameParity(len(features), clips_equal, frames, equal, worst)
