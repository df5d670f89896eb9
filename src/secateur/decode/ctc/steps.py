"""Several clips' frames side by side for beam search: the likely units of each, silence in between summed up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .words import BLANK

Logs = NDArray[np.floating]
QUIET = -5e-3  # a frame whose blank is surer than this (0.995) only lets hypotheses wait
NEVER = -np.inf


@dataclass(frozen=True)
class Steps:
    """The frames of some clips that may hold speech, the clip with most of them first.

    Arrays are (steps, clips, ...); a clip with fewer steps has zeros after them.
    """

    frames: Logs  # (steps, clips, outputs)
    units: NDArray[np.intp]  # (steps, clips, most): outputs above the floor, the likeliest first; BLANK fills up
    values: Logs  # (steps, clips, most): their logarithms of probabilities; NEVER fills up
    most: list[int]  # how many of them any clip has at each step
    quiet: Logs  # (steps + 1, clips, outputs): sums over the quiet frames before each step, or after the last
    still: NDArray[np.bool_]  # (steps + 1, clips): whether there are any
    counts: NDArray[np.intp]  # (clips,): steps of each

    @classmethod
    def of(cls, clips: Sequence[Logs], floor: float, blank_penalty: float = 0.0) -> Steps:
        """From log-probabilities (frames, outputs) of clips of at least one frame; the blank's are lowered."""
        active = [(clip[:, 0] <= QUIET) & (clip[:, 1:] > floor).any(1) for clip in clips]
        counts = np.asarray([int(a.sum()) for a in active])
        steps, outputs = int(counts.max()), clips[0].shape[1]
        frames = np.zeros((steps, len(clips), outputs))
        quiet = np.zeros((steps + 1, len(clips), outputs))
        still = np.zeros((steps + 1, len(clips)), bool)
        for i, (clip, spoken) in enumerate(zip(clips, active, strict=True)):
            frames[: counts[i], i] = clip[spoken]
            frames[: counts[i], i, BLANK] -= blank_penalty
            before = np.cumsum(spoken)[~spoken]  # steps before each quiet frame
            np.add.at(quiet[:, i], before, clip[~spoken])
            still[before, i] = True
        above = frames > floor
        above[:, :, BLANK] = False
        above &= (np.arange(steps)[:, None] < counts)[:, :, None]
        most = above.sum(2).max(1).tolist() if steps else []
        widest = max(most, default=0)
        values = np.where(above, frames, NEVER)
        units = np.argsort(-values, axis=2, kind="stable")[:, :, :widest]
        values = np.take_along_axis(values, units, 2)
        return cls(frames, np.where(values > NEVER, units, BLANK), values, most, quiet, still, counts)
