"""Masks of valid frames in padded batches, and layers that ignore padding."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...models.groups import Place


def valid_frames(frames: Tensor, length: int) -> Tensor:
    """True (batch, length) at the first `frames` (batch,) of each row."""
    return torch.arange(length, device=frames.device) < frames[:, None]


def reversed_frames(x: Tensor, frames: Tensor) -> Tensor:
    """Each row of `x` (batch, length, width) with its valid frames in reverse order and its padding unchanged."""
    steps = torch.arange(x.shape[1], device=x.device)
    source = torch.where(steps < frames[:, None], frames[:, None] - 1 - steps, steps)
    return x.gather(1, source[..., None].expand_as(x))


class BatchNorm(nn.Module):
    """Normalises each channel by the statistics of real frames (Ioffe and Szegedy 2015, arXiv 1502.03167).

    While training these are the batch's (each micro-batch's and each process's own), which the running ones follow;
    otherwise the running ones.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, momentum: float = 0.1, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.momentum, self.epsilon = momentum, epsilon
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        """(batch, channels, frames) to the same; `real` (batch, frames) is True where frames are no padding."""
        rows = real.flatten().nonzero().squeeze(1) if self.training else None
        if rows is not None and len(rows) > 1:  # one frame has no variance
            return self._by_batch(x, rows)
        scale = self.weight * torch.rsqrt(self.running_var + self.epsilon)
        return x * scale[:, None] + (self.bias - self.running_mean * scale)[:, None]

    def _by_batch(self, x: Tensor, rows: Tensor) -> Tensor:
        """Normalised by the batch's own statistics, padding zero: real frames are taken out, so that one kernel does
        what a dozen would (a GoogLeNet has 63 of these)."""
        with torch.autocast(x.device.type, enabled=False):
            flat = x.transpose(1, 2).reshape(-1, x.shape[1])
            normed = F.batch_norm(
                flat.index_select(0, rows).float(), self.running_mean, self.running_var, self.weight, self.bias,
                training=True, momentum=self.momentum, eps=self.epsilon,
            )  # fmt: skip
            output = normed.new_zeros(flat.shape).index_copy(0, rows, normed)
        return output.view(len(x), x.shape[2], -1).transpose(1, 2)

    @staticmethod
    def places(name: str) -> tuple[Place, ...]:
        """Where a channel lives in the norm `name`. With its weight and bias zero, its statistics have no effect."""
        trained = tuple(Place(f"{name}.{part}", 0) for part in ("weight", "bias"))
        return (*trained, *(Place(f"{name}.{part}", 0, masked=False) for part in ("running_mean", "running_var")))


def reader_places(
    parameters: Iterable[str], start: int = 0, width: int = 1, unit: int | None = None
) -> tuple[Place, ...]:
    """The columns (dimension 1) of `parameters` that read units whose activations stand from index `start` on."""
    return tuple(Place(name, 1, width, unit, reads=True, start=start) for name in parameters)
