"""One-shot pruning from the inputs of the steps before, then recovery: Wanda and SparseGPT."""

from __future__ import annotations

from dataclasses import replace

import torch

from ..settings import PruneSettings
from ..shrink import Net
from .inputs import InputCollector, gram
from .patterns import as_rows, from_rows, lowest_of_groups
from .sparse import SparseMethod
from .sparsegpt import sparsegpt
from .threshold import lowest

CALIBRATION = 16  # steps before the event whose inputs count


class OneShot(SparseMethod[Net]):
    """Prunes at `settings.begin`; criterion and schedule are the method's own, the rest of the training recovers."""

    reads = frozenset({"pattern"})

    def collects_inputs(self, step: int, total: int) -> bool:
        begin, _ = self.span(total)
        return not self.done and begin - CALIBRATION <= step < begin


class Wanda(OneShot[Net]):
    """|weight| times the size of what it reads, compared within each output row (Sun et al. 2024, arXiv 2306.11695)."""

    def __init__(self, model: Net, settings: PruneSettings, original: float) -> None:
        super().__init__(model, replace(settings, criterion="wanda", schedule="one-shot", scope="row"), original)


class SparseGPT(OneShot[Net]):
    """Each matrix loses its share, or is thinned to the N:M pattern, and its other weights compensate for the loss on
    earlier inputs (Frantar and Alistarh 2023, arXiv 2301.00774).

    All matrices are solved with what they read in the dense network, not layer after layer. Recurrent layers and
    grouped convolutions lose their smallest weights without compensation. The inputs' second moments take
    (inputs x inputs) floats a matrix until the event.
    """

    def __init__(self, model: Net, settings: PruneSettings, original: float) -> None:
        super().__init__(model, replace(settings, criterion="magnitude", schedule="one-shot", scope="layer"), original)

    def collector(self) -> InputCollector:
        return InputCollector(self.model, self.weights, gram)

    @torch.no_grad()
    def prune_to(self, progress: float) -> None:
        assert self.inputs is not None
        removed = {}
        for name, weight in self.weights.items():
            share = self.shares[name]
            if name in self.inputs.sums:
                solved, stays = sparsegpt(as_rows(weight), self.inputs.sums[name], share, self.pattern)
                weight.copy_(from_rows(solved, weight.shape))
                removed[name] = from_rows(~stays, weight.shape)
            elif self.pattern is not None:
                removed[name] = lowest_of_groups(weight.abs(), *self.pattern)
            else:
                removed[name] = lowest(weight.abs(), round(share * weight.numel()))
        self.adopt(removed)
