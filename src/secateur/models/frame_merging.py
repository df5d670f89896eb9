"""Neighbouring frames merged into one inside an encoder: later layers and the decoder's cross-attention read fewer.

An input pruning like a longer frame shift, but after a layer that has read all frames. What a merge computes for frames
x_0 ... x_(f-1) of one window is `sum_j w_j * x_j`: the mean (w_j = 1 / f), or weights per frame and channel that start
there and are trained (a strided depthwise convolution). A last window that the clip does not fill repeats the clip's
last frame, so that a row of a padded batch equals the same clip alone. `families.seq2seq.layers.FrameMerge` does it.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..base.errors import SecateurError

MOST = 8  # frames in one; beyond it a merged frame would last longer than most phones


def merged_length(frames: int, factors: Sequence[int]) -> int:
    """How many of `frames` are left after merges by `factors`, one after the other.

    >>> merged_length(7, (2, 1, 2))
    2
    """
    for factor in factors:
        frames = -(-frames // factor)
    return frames


def parse_merges(texts: Sequence[str], layers: int) -> tuple[int, ...]:
    """Factors (layers + 1,) from texts "layer:factor": after that encoder layer (from 0), or "input:factor" before all.

    >>> parse_merges(("0:2", "3:2"), 6)
    (1, 2, 1, 1, 2, 1, 1)

    Raises:
        SecateurError: another form, a layer that is not there, a factor outside 2 to 8, a layer named twice.
    """
    factors = [1] * (layers + 1)
    for text in texts:
        layer, _, factor = text.partition(":")
        stage = 0 if layer.strip() == "input" else int(layer) + 1 if layer.strip().isdecimal() else -1
        if not factor.strip().isdecimal() or stage < 0:
            raise SecateurError(
                f"merge_frames: '{text}' is not LAYER:FACTOR, such as 0:2 (after encoder layer 0) or input:2"
            )
        if stage > layers:
            raise SecateurError(f"merge_frames: '{text}': the encoder has layers 0 to {layers - 1}")
        if not 2 <= int(factor) <= MOST:
            raise SecateurError(f"merge_frames: '{text}' merges {factor} frames into one; 2 to {MOST} can be merged")
        if factors[stage] != 1:
            raise SecateurError(f"merge_frames: layer {layer} is named twice")
        factors[stage] = int(factor)
    return tuple(factors)
