"""Frames merged between the layers of a CTC network: see `models.frame_merging`.

Means and learned merges give fewer outputs, each as long as the frames in it. Similar frames differ in length: there
the outputs are on the grid before the merges again, each of its frames with the output of what it went into.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from ..seq2seq.layers import Merge, picked
from .frames import valid_frames


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
