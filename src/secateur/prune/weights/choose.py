"""Which weights go, from scores: the lowest share of all, of each matrix, of each output row, or N of every M."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from ...base.errors import SecateurError


def lowest(scores: Tensor, count: int) -> Tensor:
    """True at exactly the `count` lowest of `scores` (any shape); ties are settled by position."""
    flat = scores.flatten()
    chosen = torch.zeros(flat.numel(), dtype=torch.bool, device=flat.device)
    if count > 0:
        chosen[torch.topk(flat, min(count, flat.numel()), largest=False, sorted=False).indices] = True
    return chosen.view(scores.shape)


def lowest_of_all(scores: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
    """True where a weight is among the lowest `share` of all matrices together."""
    names = list(scores)
    joined = torch.cat([scores[n].flatten() for n in names])
    gone = lowest(joined, round(share * joined.numel()))
    parts = torch.split(gone, [scores[n].numel() for n in names])
    return {n: part.view(scores[n].shape) for n, part in zip(names, parts, strict=True)}


def lowest_of_rows(scores: Tensor, share: float) -> Tensor:
    """True at the lowest `share` of every output row."""
    rows = scores.flatten(1)
    count = round(share * rows.shape[1])
    gone = torch.zeros_like(rows, dtype=torch.bool)
    if count > 0:
        gone.scatter_(1, torch.topk(rows, count, dim=1, largest=False, sorted=False).indices, True)
    return gone.view(scores.shape)


def parse_pattern(pattern: str) -> tuple[int, int]:
    """`2:4` as (2, 4): two of every four stay.

    Raises:
        SecateurError: not N:M with 0 < N < M.
    """
    found = re.fullmatch(r"(\d+):(\d+)", pattern)
    n, m = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 0 < n < m:
        raise SecateurError(f"pattern '{pattern}' is not N:M with 0 < N < M, such as 2:4")
    return n, m


def lowest_of_groups(scores: Tensor, stay: int, of: int, share: float = 1.0) -> Tensor:
    """True at the `of - stay` lowest of every `of` consecutive inputs (Mishra et al. 2021, arXiv 2104.08378).

    Inputs beyond the last whole group stay. With `share` below 1 only that share of the groups, the ones that lose
    least, is thinned: the way to the full pattern.
    """
    rows = scores.flatten(1)
    whole = rows.shape[1] // of * of
    groups = rows[:, :whole].reshape(-1, of)
    gone = torch.zeros_like(groups, dtype=torch.bool)
    order = torch.topk(groups, of - stay, dim=1, largest=False, sorted=False)
    gone.scatter_(1, order.indices, True)
    if share < 1:
        gone &= lowest(order.values.sum(1), round(share * len(groups)))[:, None]
    result = torch.zeros_like(rows, dtype=torch.bool)
    result[:, :whole] = gone.view(len(rows), whole)
    return result.view(scores.shape)
