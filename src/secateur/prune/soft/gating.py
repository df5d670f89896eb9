"""Gates on units, multiplied into the weights for a batch and taken out again before the optimiser step.

A gate z multiplies one side of its unit only, so that the network computes z times the unit's contribution:

- the reader's columns where the unit's activation has a reader (heads, values, FFN units, channels);
- the first writer's rows where it has none (a query/key dimension: its query is scaled, its key is not);
- for a layer, the end of every branch.

Several gates may meet in one parameter (a head's and those of its value dimensions): it is multiplied by all of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ...models.groups import Group, Place
from ..places import along, unit_sums


def carriers(group: Group) -> tuple[Place, ...]:
    """The places that carry the gates of `group`: together they are linear in the unit's contribution.

    Where a norm over all units stands before the reader, the writer is gated as well: a gate of zero is then the unit's
    removal, though one between zero and one is no longer linear.
    """
    readers = tuple(p for p in group.places if p.reads and p.masked)
    if readers:
        return (*readers, *(p for p in group.places if p.early))
    if any(p.unit is not None for p in group.places):
        return tuple(p for p in group.places if p.unit is not None and p.masked)
    written = [p for p in group.places if p.masked]
    first = written[0].parameter.rpartition(".")[0]
    return tuple(p for p in written if p.parameter.rpartition(".")[0] == first)


class Gating:
    """The parameters that carry the gates of `groups`, and their raw values while gated ones are in the network.

    Gates are one tensor (units of all groups,), in the order of `groups`.
    """

    def __init__(self, model: nn.Module, groups: Sequence[Group]) -> None:
        self.groups = list(groups)
        self.sizes = [g.units for g in self.groups]
        named = dict(model.named_parameters())
        self.uses: dict[str, list[tuple[int, Place]]] = {}
        for number, group in enumerate(self.groups):
            for place in carriers(group):
                self.uses.setdefault(place.parameter, []).append((number, place))
        self.parameters = {name: named[name] for name in self.uses}
        self.raw: dict[str, Tensor] = {}

    @torch.no_grad()
    def save_raw(self) -> None:
        """Save the network's current values as the raw ones."""
        self.raw = {name: p.detach().clone() for name, p in self.parameters.items()}

    @torch.no_grad()
    def write(self, gates: Tensor | None) -> None:
        """Write raw values times `gates` into the network; None writes the raw values."""
        split = None if gates is None else torch.split(gates, self.sizes)
        for name, parameter in self.parameters.items():
            parameter.copy_(self.raw[name])
            for number, place in self.uses[name] if split is not None else ():
                parameter.mul_(along(split[number], place, parameter.shape))  # type: ignore[index]

    @torch.no_grad()
    def gradient(self, gates: Tensor) -> Tensor:
        """dL/dgates (units,), after a backward pass of the network with `gates` put in.

        Gradients of the carriers become those of their raw values, dL/draw = dL/dweight * z.
        """
        split = torch.split(gates, self.sizes)
        sums = [torch.zeros(size, device=gates.device) for size in self.sizes]
        for name, parameter in self.parameters.items():
            if parameter.grad is None:
                continue
            factors = [along(split[number], place, parameter.shape) for number, place in self.uses[name]]
            product = parameter.grad * self.raw[name]
            for i, (number, place) in enumerate(self.uses[name]):
                value = product
                for j, other in enumerate(factors):
                    if j != i:
                        value = value * other
                sums[number] += unit_sums(self.groups[number], {name: value}, [place])
            for factor in factors:
                parameter.grad.mul_(factor)
        return torch.cat(sums)

    def tensors(self) -> dict[str, Tensor]:
        """Raw values, for resuming."""
        return {f"raw.{name}": value for name, value in self.raw.items()}

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Restore the state that `tensors` returned."""
        self.raw = {
            name: tensors[f"raw.{name}"].to(p.device) for name, p in self.parameters.items() if f"raw.{name}" in tensors
        }
