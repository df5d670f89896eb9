"""Which weights go, from scores: the lowest share of all matrices together, of one matrix, or of each output row."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def lowest(scores: Tensor, count: int) -> Tensor:
    """True at exactly the `count` lowest of `scores` (any shape); of equal scores the first ones go.

    Ties are the rule, not the exception, in weights that were stored in 16 bits; settled by position, the choice is
    the same on every device and in every process.
    """
    flat = scores.flatten()
    if count <= 0:
        return torch.zeros_like(scores, dtype=torch.bool)
    if count >= flat.numel():
        return torch.ones_like(scores, dtype=torch.bool)
    limit = torch.topk(flat, count, largest=False, sorted=False).values.max()
    chosen = flat < limit
    equal = (flat == limit).nonzero().flatten()
    chosen[equal[: count - int(chosen.sum())]] = True
    return chosen.view(scores.shape)


def lowest_of_all(scores: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
    """True where a weight is among the lowest `share` of all matrices together."""
    names = list(scores)
    joined = torch.cat([scores[n].flatten() for n in names])
    removed = lowest(joined, round(share * joined.numel()))
    parts = torch.split(removed, [scores[n].numel() for n in names])
    return {n: part.view(scores[n].shape) for n, part in zip(names, parts, strict=True)}


def lowest_of_rows(scores: Tensor, share: float) -> Tensor:
    """True at the lowest `share` of every output row."""
    rows = scores.flatten(1)
    order = rows.argsort(dim=1, stable=True)[:, : round(share * rows.shape[1])]
    return torch.zeros_like(rows, dtype=torch.bool).scatter_(1, order, True).view(scores.shape)
