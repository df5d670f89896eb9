"""Masks of valid frames in padded batches, layers that ignore padding, and frames merged between layers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...models.groups import Place
from ..seq2seq.layers import Merge, picked


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


class FrameMerges(nn.ModuleList):
    """The merges before the first layer and after each; none: nothing is merged."""

    def __init__(self, merges: Iterable[nn.Module]) -> None:
        super().__init__(merges)
        self.repeated = False  # an output for each of the frames in one

    @contextmanager
    def on_first_grid(self) -> Iterator[None]:
        """See `Network.on_first_grid`."""
        self.repeated = True
        try:
            yield
        finally:
            self.repeated = False

    @contextmanager
    def replaced(self, merges: nn.ModuleList) -> Iterator[None]:
        """Other merges inside `with`."""
        before, self._modules = self._modules, merges._modules
        try:
            yield
        finally:
            self._modules = before


def repeated(log_probs: Tensor, frames: Tensor, times: int) -> tuple[Tensor, Tensor]:
    """(batch, frames, units) so many `times` each, and the real ones of each row."""
    return (log_probs, frames) if times == 1 else (log_probs.repeat_interleave(times, 1), frames * times)


class MergedPass:
    """One pass through the layers: what was merged so far.

    `stride` is how many of the first frames each is made of, where all are alike; `left`, how many each is to be
    merged into one with later; `at` (batch, frames): of the first frames the first in each, where they are not.
    """

    def __init__(self, merges: Iterable[nn.Module]) -> None:
        self.merges: list[Merge] = list(merges)  # type: ignore[arg-type]
        self.at: Tensor | None = None
        self._number = -1
        self._first: tuple[int, Tensor] | None = None  # frames before anything was merged, and the real ones
        self._similar = any(merge.similar for merge in self.merges)
        self._repeated = getattr(merges, "repeated", False)
        self.stride = self.left = 1
        for merge in self.merges:
            self.left *= 1 if self._similar else int(merge.factor)

    def before(self, x: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Before the first layer of a section: (batch, frames, width) and the real ones of each row, merged; padding
        is zero where anything is."""
        return self.after(x, frames) if self._number < 0 else (x, frames)

    def after(self, x: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """After one more layer, see `before`."""
        self._number += 1
        merge = self.merges[self._number] if self.merges else None
        if merge is None or merge.factor == 1:
            return x, frames
        if not self._similar:
            x, valid, _ = merge.starts(x, valid_frames(frames, x.shape[1]))
            self.stride, self.left = self.stride * int(merge.factor), self.left // int(merge.factor)
        else:
            if self.at is None:
                self._first = x.shape[1], frames
            x, valid, self.at = merge.after(x, valid_frames(frames, x.shape[1]), self.at)
        assert valid is not None
        return x * valid[..., None], valid.sum(1)

    def outputs(self, log_probs: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, frames, units) on the grid of the outputs, and the real ones of each row."""
        if self.at is None or self._first is None:
            return repeated(log_probs, frames, self.stride if self._repeated else 1)
        length, counts = self._first
        return picked(log_probs, Merge.places(self.at, length)), counts
