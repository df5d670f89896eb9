"""Neighbouring frames merged into one inside an encoder: later layers and the decoder's cross-attention read fewer.

An input pruning like a longer frame shift, but after a layer that has read all frames. What a merge computes for frames
x_0 ... x_(f-1) of one window is `sum_j w_j * x_j`: the mean (w_j = 1 / f), or weights per frame and channel that start
there and are trained (a strided depthwise convolution). A last window that the clip does not fill repeats the clip's
last frame, so that a row of a padded batch equals the same clip alone. `families.seq2seq.layers.FrameMerge` does it.
Where layers know positions or distances, a merged frame has the position of the first frame in it.

Similar frames only (A-ToMe, Li et al. 2023, arXiv 2306.16009): with a factor from 1 to 2, `frames - ceil(frames /
factor)` of the frames 1, 3, 5, ... go into the neighbour that each is most alike (cosine), those most alike first; what
is left is the mean of a frame and of those that went into it. Which frames, depends on the clip: silence and vowels
shrink first. Nothing is trained, and for every frame of the original grid it is known which one it went into.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..base.errors import SecateurError

MOST = 8  # frames in one; beyond it a merged frame would last longer than most phones

FRAMES = "memory_frames"  # an export's output (batch, first positions): the position that each went into
SHORT = 1e-3  # below any part of a frame that factors with two decimals leave: `left` is the same in every precision


@dataclass(frozen=True, kw_only=True)
class MergingConfig:
    """What the config of a family that can merge frames says of them.

    Raises:
        ValueError: merges that are not one before and one after each encoder layer, or not 1 to 8 frames each.
    """

    frame_merging: tuple[float, ...] = ()  # frames merged into one before encoder layer 0 and after each (layers + 1)
    merge_learned: bool = False  # merges have trained weights; False: they are means
    merge_similar: bool = False  # the most alike neighbours are merged, by factors from 1 to 2

    def __post_init__(self) -> None:
        needed = len(self.merge_layers) + 1 if self.merge_layers else 0
        if self.frame_merging and len(self.frame_merging) != needed:
            raise ValueError(f"frame_merging has {len(self.frame_merging)} factors, {needed} are needed")
        largest = 2 if self.merge_similar else MOST
        if not all(
            1 <= factor <= largest and (self.merge_similar or factor == int(factor)) for factor in self.frame_merging
        ):
            raise ValueError(f"frame_merging: factors are 1 to {largest}, found {list(self.frame_merging)}")
        if self.merge_similar and self.merge_learned:
            raise ValueError("merge_similar and merge_learned exclude each other")

    @property
    def merge_layers(self) -> tuple[str, ...]:
        """The layers of the encoder by name, after each of which frames can be merged."""
        raise NotImplementedError

    @property
    def regular_merge(self) -> int:
        """Frames of equal length that the merges make one of, all together; 1 where only similar ones are merged."""
        return 1 if self.merge_similar else int(math.prod(self.frame_merging))

    @property
    def merge_weights(self) -> int:
        """Trained weights a channel of all merges."""
        return sum(int(factor) for factor in self.frame_merging if factor > 1) if self.merge_learned else 0

    def merging(self, factors: tuple[float, ...], kind: str) -> Self:
        """The config that merges frames by `factors` (see `frame_merging`), as `kind` (mean, learned, similar) says.

        Raises:
            ValueError: what the layers cannot do, and what to say instead.
        """
        return replace(self, frame_merging=factors, merge_learned=kind == "learned", merge_similar=kind == "similar")

    def frames_read(self, frames: int) -> list[int]:
        """Of `frames`: those that each layer reads, and those that are left after the last."""
        factors = self.frame_merging or (1,) * (len(self.merge_layers) + 1)
        return [merged_length(frames, factors[: i + 1]) for i in range(len(factors))]

    def merging_of(self, layers: Sequence[int]) -> tuple[float, ...]:
        """Merges when only `layers` are left: what followed a removed layer now follows the one before it.

        Raises:
            SecateurError: two merges at one place (the end of a clip would be treated differently), or a trained one.
        """
        if not self.frame_merging or len(layers) == len(self.merge_layers):
            return self.frame_merging
        factors = [self.frame_merging[0], *[1.0] * len(layers)]
        for stage, factor in enumerate(self.frame_merging[1:], 1):
            if factor == 1:
                continue
            stage_after = sum(1 for kept in layers if kept < stage)
            if self.merge_learned or factors[stage_after] != 1:
                raise SecateurError(f"the merge of frames after encoder layer {stage - 1} cannot move: keep all layers")
            factors[stage_after] = factor
        return tuple(factors)


def left(frames: int, factor: float) -> int:
    """How many of `frames` are left after a merge.

    >>> left(7, 2), left(7, 1.5), left(6, 1.5)
    (4, 5, 4)
    """
    return math.ceil(frames / factor - SHORT)


def merged_length(frames: int, factors: Sequence[float]) -> int:
    """How many of `frames` are left after merges by `factors`, one after the other.

    >>> merged_length(7, (2, 1, 2))
    2
    """
    for factor in factors:
        frames = left(frames, factor)
    return frames


def spread(weights: NDArray[np.float32], frames: NDArray[np.int64]) -> NDArray[np.float32]:
    """Attention (batch, heads, n, positions) on the original grid: `frames` (batch, original) says which position each
    frame is part of, and the frames of one position share its weight."""
    sizes = np.stack([np.bincount(row, minlength=weights.shape[3])[row] for row in frames])
    index = np.broadcast_to(frames[:, None, None], (*weights.shape[:3], frames.shape[1]))
    shared: NDArray[np.float32] = np.take_along_axis(weights, index, 3)
    shared /= sizes[:, None, None]
    return shared


def parse_merges(texts: Sequence[str], layers: int, similar: bool = False) -> tuple[float, ...]:
    """Factors (layers + 1,) from texts "layer:factor": after that encoder layer (from 0), or "input:factor" before all.

    Factors are 2 to 8 frames, or, of `similar` ones, numbers up to 2 with two decimals.

    >>> parse_merges(("0:2", "3:2"), 6)
    (1, 2, 1, 1, 2, 1, 1)

    Raises:
        SecateurError: another form, a layer that is not there, a factor outside 2 to 8, a layer named twice.
    """
    factors: list[float] = [1] * (layers + 1)
    for text in texts:
        layer, _, factor = text.partition(":")
        stage = 0 if layer.strip() == "input" else int(layer) + 1 if layer.strip().isdecimal() else -1
        if stage < 0 or not (_hundredths(factor) if similar else factor.strip().isdecimal()):
            raise SecateurError(
                f"merge_frames: '{text}' is not LAYER:FACTOR, such as 0:2 (after encoder layer 0) or input:2"
            )
        if stage > layers:
            raise SecateurError(f"merge_frames: '{text}': the encoder has layers 0 to {layers - 1}")
        if similar and not 100 < _hundredths(factor) <= 200:
            raise SecateurError(f"merge_frames: '{text}': similar frames are merged by a factor from 1.01 to 2")
        if not similar and not 2 <= int(factor) <= MOST:
            raise SecateurError(f"merge_frames: '{text}' merges {factor} frames into one; 2 to {MOST} can be merged")
        if factors[stage] != 1:
            raise SecateurError(f"merge_frames: layer {layer} is named twice")
        factors[stage] = _hundredths(factor) / 100 if similar else int(factor)
    return tuple(factors)


def merges_in(config: Mapping[str, Any]) -> str:
    """The merges of a config's values as `parse_merges` reads them, and their kind; "" without any.

    >>> merges_in({"frame_merging": [1, 2, 1.5], "merge_similar": True})
    '0:2 1:1.5 (similar)'
    """
    places = enumerate(config.get("frame_merging") or ())
    texts = [f"{stage - 1 if stage else 'input'}:{factor:g}" for stage, factor in places if factor > 1]
    kind = "similar" if config.get("merge_similar") else "learned" if config.get("merge_learned") else "mean"
    return f"{' '.join(texts)} ({kind})" if texts else ""


def _hundredths(factor: str) -> int:
    """A number with at most two decimals, times 100; 0 for anything else."""
    whole, _, part = factor.strip().partition(".")
    return int(whole + f"{part:0<2}") if (whole + part).isdecimal() and whole and len(part) <= 2 else 0
