"""N:M patterns: of every M consecutive inputs of an output, N stay (Mishra et al. 2021, arXiv 2104.08378)."""

from __future__ import annotations

import re

import torch
from torch import Tensor

from ...base.errors import SecateurError
from .threshold import lowest


def parse_pattern(pattern: str) -> tuple[int, int]:
    """`2:4` as (2, 4): two of every four stay.

    Raises:
        SecateurError: not N:M with 0 < N < M.
    """
    match = re.fullmatch(r"(\d+):(\d+)", pattern)
    n, m = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 0 < n < m:
        raise SecateurError(f"pattern '{pattern}' is not N:M with 0 < N < M, such as 2:4")
    return n, m


def as_rows(weight: Tensor) -> Tensor:
    """A weight (out, in, *kernel) as (out, kernel positions * in): input channels are consecutive."""
    return weight.movedim(1, -1).flatten(1)


def from_rows(rows: Tensor, shape: torch.Size) -> Tensor:
    """Back from `as_rows` to a weight of `shape`."""
    return rows.view(shape[0], *shape[2:], shape[1]).movedim(-1, 1).contiguous()


def lowest_of_groups(scores: Tensor, keep: int, size: int, share: float = 1.0) -> Tensor:
    """True at the `size - keep` lowest of every `size` consecutive inputs; `scores` has a weight's shape.

    Inputs beyond the last whole group stay. With `share` below 1 only that share of the groups, the ones that lose
    least, is thinned: the way to the full pattern.
    """
    rows = as_rows(scores)
    complete = rows.shape[1] // size * size
    groups = rows[:, :complete].reshape(-1, size)
    values, order = groups.sort(dim=1, stable=True)
    removed = torch.zeros_like(groups, dtype=torch.bool).scatter_(1, order[:, : size - keep], True)
    if share < 1:
        removed &= lowest(values[:, : size - keep].sum(1), round(share * len(groups)))[:, None]
    result = torch.zeros_like(rows, dtype=torch.bool)
    result[:, :complete] = removed.view(len(rows), complete)
    return from_rows(result, scores.shape)
