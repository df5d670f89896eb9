"""How sparse a network is: shares of zeros in the encoder's and decoder's matrices."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable

from torch import nn

from ...base.errors import SecateurError, nearest
from ..counts import matrices


def sparsity(model: nn.Module, patterns: Iterable[str] = ()) -> dict[str, float]:
    """The share of zeros (0 to 1) in all matrices, as "all", and in those whose names match each of `patterns`.

    Embeddings, positions, norms and biases are not counted.

    Raises:
        SecateurError: a pattern that matches no matrix, with the nearest name.
    """
    sizes = {name: (p.numel() - int(p.detach().count_nonzero()), p.numel()) for name, p in matrices(model)}
    found = {"all": list(sizes)} | {p: [n for n in sizes if fnmatch.fnmatchcase(n, p)] for p in patterns}
    for pattern, names in found.items():
        if not names:
            raise SecateurError(f"no weight matrix matches '{pattern}'{nearest(pattern, sizes)}")
    return {p: sum(sizes[n][0] for n in names) / sum(sizes[n][1] for n in names) for p, names in found.items()}
