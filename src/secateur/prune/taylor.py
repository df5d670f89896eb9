"""First-order terms over batches, from products of gradients and weights; on torch tensors or numpy arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..models.groups import Group
from .arrays import Array
from .places import unit_sums


class TaylorSums:
    """Running means over batches of (sum of gradient * weight over a unit), squared and with its sign.

    `decay` < 1 down-weights old batches, for evidence gathered while the network changes.
    """

    def __init__(self, groups: Iterable[Group], decay: float = 1.0) -> None:
        self.groups, self.decay = list(groups), decay
        self.sums: dict[str, Array] = {}
        self.signed: dict[str, Array] = {}
        self.weight = 0.0

    def add(self, products: Mapping[str, Array]) -> None:
        """One batch: gradient * weight by parameter; those that are missing count as zero."""
        for group in self.groups:
            change = unit_sums(group, products)
            for sums, new in ((self.sums, change**2), (self.signed, change)):
                old = sums.get(group.name)
                sums[group.name] = new if old is None else old * self.decay + new
        self.weight = self.weight * self.decay + 1

    def means(self) -> dict[str, Array]:
        """What `Evidence.taylor` holds."""
        return {name: total / max(self.weight, 1e-12) for name, total in self.sums.items()}

    def signed_means(self) -> dict[str, Array]:
        """What `Evidence.signed` holds."""
        return {name: total / max(self.weight, 1e-12) for name, total in self.signed.items()}
