"""The position convolution, without its weight norm and with any of its groups.

In `transformers` its weights are normed over all channels of a tap, so that a channel less would change the others.
Here the norm is multiplied out (and put back for `transformers`), so that groups of channels can be removed one by
one: kept channels of the stream are convolved, the others get nothing added.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NORM = "parametrizations.weight.original"  # their size of each tap (0) and direction (1)


class Positions(nn.Module):
    """Groups `kept` out of `groups` of `width` channels; GELU(0) = 0, so a zeroed group is a removed one."""

    def __init__(self, width: int, taps: int, groups: int, kept: Sequence[int]) -> None:
        super().__init__()
        size = width // groups
        self.conv = nn.Conv1d(len(kept) * size, len(kept) * size, taps, padding=taps // 2, groups=len(kept))
        self.trim = taps % 2 == 0  # one frame too many
        self.channels = None if len(kept) == groups else [g * size + i for g in kept for i in range(size)]

    def forward(self, x: Tensor) -> Tensor:
        """(batch, frames, width) to the same."""
        selected = x if self.channels is None else x[..., self.channels]
        selected = self.conv(selected.transpose(1, 2))
        selected = F.gelu(selected[..., :-1] if self.trim else selected).transpose(1, 2)
        if self.channels is None:
            return selected
        output = selected.new_zeros(x.shape)
        output[..., self.channels] = selected
        return output


def multiplied_out(size: Tensor, direction: Tensor) -> Tensor:
    """Weights (out, in, taps) of their two parts: each tap's `size` (1, 1, taps) times its `direction`, normed."""
    direction = direction.float()
    return direction * (size.float() / direction.square().sum((0, 1), keepdim=True).sqrt())


def normed(weight: Tensor) -> dict[str, Tensor]:
    """Their two parts of weights (out, in, taps); a zero tap has a direction all the same."""
    size = weight.square().sum((0, 1), keepdim=True).sqrt()
    return {f"{NORM}0": size, f"{NORM}1": torch.where(size > 0, weight, torch.ones_like(weight))}
