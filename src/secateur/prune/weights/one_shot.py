"""One-shot pruning from the inputs of the steps before, then recovery: Wanda, and SparseGPT, which lets
what remains of a matrix compensate (optimal brain surgeon)."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ...base.errors import SecateurError
from ..settings import PruneSettings
from ..shrink import Net
from .inputs import InputCollector, gram
from .sparse import SparseMethod
from .threshold import as_rows, from_rows, lowest, lowest_of_groups

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


def sparsegpt(
    weight: Tensor, hessian: Tensor, share: float = 0.0, pattern: tuple[int, int] | None = None, block: int = 128,
    damp: float = 0.01,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Zero `share` of `weight` (out, in), or all but N of every M inputs by `pattern`; returns (weight, mask).

    `hessian` (in, in) is X^T X of the inputs, at any scale. Columns go from left to right: what a removed weight
    contributed is taken over by the columns to its right, so that |X W^T - X W'^T| stays small. Which weights go is
    decided by w^2 / [H^-1]_cc, of `block` columns at a time (each block loses the same share) or of the M columns of a
    group. `damp` times the mean of the Hessian's diagonal is added to it; more when it cannot be inverted. The mask is
    True where a weight stays (Frantar and Alistarh 2023, arXiv 2301.00774, algorithm 1).

    Raises:
        SecateurError: a Hessian that is not finite.
    """
    rows, columns = weight.shape
    upper, dead = inverse_factor(hessian, damp)
    work = weight.detach().to(upper.dtype).clone()
    removed = torch.zeros(rows, columns, dtype=torch.bool, device=weight.device)
    if pattern is not None:
        block = max(block // pattern[1], 1) * pattern[1]  # no group lies across two blocks
    for start in range(0, columns, block):
        end = min(start + block, columns)
        columns_of_block, inverse, steps = work[:, start:end], upper[start:end, start:end], upper.diagonal()[start:end]
        errors = torch.zeros_like(columns_of_block)
        if pattern is None:
            count = round(share * rows * end) - round(share * rows * start)  # exact in sum
            removed[:, start:end] = lowest(_loss(columns_of_block, steps, dead[start:end]), count)
        for i in range(end - start):
            if pattern is not None and i % pattern[1] == 0 and start + i + pattern[1] <= columns:
                group = slice(i, i + pattern[1])
                loss = _loss(columns_of_block[:, group], steps[group], dead[start:end][group])
                order = loss.argsort(dim=1, stable=True)[:, : pattern[1] - pattern[0]]
                removed[:, start:end][:, group].scatter_(1, order, True)
            errors[:, i] = columns_of_block[:, i] * removed[:, start + i] / steps[i]
            columns_of_block[:, i:] -= torch.outer(errors[:, i], inverse[i, i:])
        work[:, end:] -= errors @ upper[start:end, end:]
    return work.masked_fill(removed, 0.0).to(weight.dtype), ~removed


def inverse_factor(hessian: Tensor, damp: float = 0.01) -> tuple[Tensor, Tensor]:
    """U, upper triangular, with U^T U = H^-1, and which inputs are always zero (in,); in float64.

    Raises:
        SecateurError: a Hessian that is not finite.
    """
    hessian = hessian.double()
    if not bool(hessian.isfinite().all()):
        raise SecateurError("sparsegpt: the inputs' second moments are not finite; does the training diverge?")
    diagonal = hessian.diagonal()
    dead = diagonal == 0
    ridge = float(diagonal.mean()) or 1.0
    eye = torch.eye(len(hessian), dtype=hessian.dtype, device=hessian.device)
    while True:
        lower, problem = torch.linalg.cholesky_ex(hessian + damp * ridge * eye)
        if not int(problem):
            inverse = torch.cholesky_inverse(lower)
            upper, problem = torch.linalg.cholesky_ex(inverse, upper=True)
            if not int(problem):
                return upper, dead
        damp = max(10 * damp, 1e-8)


def _loss(weight: Tensor, steps: Tensor, dead: Tensor) -> Tensor:
    """The smallest loss increase of removing each weight; 0 where the input is always zero."""
    return ((weight / steps) ** 2).masked_fill(dead, 0.0)
