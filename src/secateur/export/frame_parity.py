"""Parity of an exported CTC model with its source, frame by frame."""

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
    clips_equal: int  # clips whose best units are all equal, so that greedy decoding is equal
    frames: int
    frames_equal: int  # frames at which both have the same best unit
    max_difference: float  # of any probability

    @property
    def agreement(self) -> float:
        """Share of frames at which both have the same best unit."""
        return self.frames_equal / self.frames


@torch.no_grad()
def frame_parity(model: FrameNetwork, folder: str | Path, features: Sequence[NDArray[np.float32]]) -> FrameParity:
    """Compare `model` with what was exported to `folder` on features (frames, inputs) of some clips.

    Probabilities are compared, not their logarithms, which differ much where probabilities are near 0.
    """
    import onnxruntime

    network = onnxruntime.InferenceSession(Path(folder) / NETWORK, providers=["CPUExecutionProvider"])
    device = next(model.parameters()).device
    worst, frames, equal, clips_equal = 0.0, 0, 0, 0
    for clip in features:
        source_values = model(torch.from_numpy(clip)[None].to(device))[0][0].cpu().numpy()
        export_values = network.run(["log_probs"], {"features": clip[None], "frames": np.array([len(clip)])})[0][0]
        worst = max(worst, float(np.abs(np.exp(source_values) - np.exp(export_values)).max()))
        same = source_values.argmax(1) == export_values.argmax(1)
        frames, equal, clips_equal = frames + len(same), equal + int(same.sum()), clips_equal + bool(same.all())
    return FrameParity(len(features), clips_equal, frames, equal, worst)
