"""Which weights go, from scores: the lowest share of all matrices, of one, of each output row, or in N:M patterns: of
every M consecutive inputs of an output, N stay (Mishra et al. 2021, arXiv 2104.08378). And how many there are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from ...base.errors import SecateurError
from ...models.family import family_of
from ...models.network import Network


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


def matrices(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """The weight matrices and filters of linear, convolution and recurrent layers, by parameter name."""
    for module_name, module in model.named_modules():
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.RNNBase):
            for name, parameter in module.named_parameters(recurse=False):
                if parameter.dim() > 1:
                    yield f"{module_name}.{name}", parameter


def matrix_weights(model: nn.Module) -> int:
    """Values in all matrices, zeros included."""
    return sum(p.numel() for _, p in matrices(model))


def nonzero_weights(model: nn.Module) -> int:
    """Values in all matrices that are not zero: those that unstructured pruning keeps."""
    return sum(int(p.detach().count_nonzero()) for _, p in matrices(model))


def nonzero_values(model: Network) -> float:
    """All values that are stored, but for the matrices' zeros: embeddings, positions, norms and biases count."""
    return family_of(model.config).parameters(model.config) - matrix_weights(model) + nonzero_weights(model)
