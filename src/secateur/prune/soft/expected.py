"""The expected cost of a network whose units stay with given probabilities: the L0 penalty of structured gates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ...models.family import Config
from ...models.groups import Group, Place
from ..budget import Cost, removals


def unit_costs(config: Config, groups: Sequence[Group], cost: Cost) -> dict[str, float]:
    """What removing one unit of each group saves while everything else stays (0 where nothing may go)."""
    full, costs = cost(config), {}
    for group in groups:
        steps = removals(group, torch.zeros(group.units))
        costs[group.name] = 0.0
        if steps:
            removed = set(steps[0].units)
            smaller = config.shrunk({group.name: [u for u in range(group.units) if u not in removed]})
            costs[group.name] = (full - cost(smaller)) / len(removed)
    return costs


class ExpectedCost:
    """E[cost] under independent chances to stay, exactly for parameters: a parameter's rows and columns stay
    independently, so that its expected size is the product of the expected lengths of its dimensions.

    For other measures each parameter is weighed by what a unit of its groups costs per parameter; call with the
    chances (units of all groups,) in the order of `groups`. All index arithmetic is done once, here: a call is a
    dozen operations whatever the size of the network.
    """

    def __init__(
        self, config: Config, groups: Sequence[Group], shapes: Mapping[str, torch.Size], cost: Cost, size: Cost
    ) -> None:
        starts = [0]
        for group in groups:
            starts.append(starts[-1] + group.units)
        self.one, self.zero = starts[-1], starts[-1] + 1  # where a chance of 1 and one of 0 are appended
        axes: dict[tuple[str, int], list[tuple[int, Place]]] = {}
        layer_of: dict[str, int] = {}
        for number, group in enumerate(groups):
            if group.kind in ("layer", "branch"):
                for unit in range(group.units):
                    inside = [n for n in shapes if n.startswith(f"{group.name}.{unit}.")]
                    layer_of |= dict.fromkeys(inside, starts[number] + unit)
            for place in group.places:
                if place.unit is not None and place.start is None:
                    continue
                axes.setdefault((place.parameter, place.dim), []).append((number, place))
        most = max((len(uses) for uses in axes.values()), default=1)
        rows: list[Tensor] = []
        axis_row: dict[tuple[str, int], int] = {}
        axis_rows: dict[tuple[object, ...], int] = {}  # parameters that share an axis share its sum
        for axis, uses in axes.items():
            length = shapes[axis[0]][axis[1]]
            key = (length, *((number, place.width, place.unit, place.start) for number, place in uses))
            if key not in axis_rows:
                axis_rows[key] = len(rows)
                columns = [self._line(groups[n], place, starts[n], length) for n, place in uses]
                columns += [torch.full_like(columns[0], self.one)] * (most - len(columns))
                rows.append(torch.stack(columns))
            axis_row[axis] = axis_rows[key]
        longest = max((row.shape[1] for row in rows), default=1)
        index = torch.full((len(rows) + 1, most, longest), self.zero)
        for i, row in enumerate(rows):
            index[i, :, : row.shape[1]] = row
        index[-1, :, 0] = self.one  # the axis of length 1, for parameters with fewer gated dimensions
        self.index = index
        parameters = sorted({parameter for parameter, _ in axes} | set(layer_of))
        price = _prices(config, groups, shapes, cost, size)
        weights, first, second, layers = [], [], [], []
        for name in parameters:
            gated = [d for d in range(len(shapes[name])) if (name, d) in axis_row]
            ungated = [length for d, length in enumerate(shapes[name]) if d not in gated]
            pair = [axis_row[name, d] for d in gated] + [len(rows)] * (2 - len(gated))
            weights.append(price.get(name, 1.0) * math.prod(ungated))
            first.append(pair[0])
            second.append(pair[1])
            layers.append(layer_of.get(name, self.one))
        self.weights = torch.tensor(weights)
        self.first, self.second, self.layers = torch.tensor(first), torch.tensor(second), torch.tensor(layers)
        all_open = float(self._gated(torch.ones(starts[-1])))
        self.constant = cost(config) - all_open  # of parameters without gates

    def _line(self, group: Group, place: Place, start: int, length: int) -> Tensor:
        """Which chance each index of a dimension has: (length,), `one` where it belongs to no unit of `group`."""
        units = torch.arange(group.units) if place.unit is None else torch.tensor([place.unit])
        indices = units.repeat_interleave(place.width) + start
        if place.start is None:
            return indices
        line = torch.full((length,), self.one)
        line[place.start : place.start + len(indices)] = indices
        return line

    def _gated(self, chances: Tensor) -> Tensor:
        padded = torch.cat([chances, chances.new_ones(1), chances.new_zeros(1)])
        sums = padded[self.index].prod(1).sum(1)
        return (self.weights * padded[self.layers] * sums[self.first] * sums[self.second]).sum()

    def to(self, device: torch.device) -> ExpectedCost:
        """Move the index tensors."""
        for name in ("index", "weights", "first", "second", "layers"):
            setattr(self, name, getattr(self, name).to(device))
        return self

    def __call__(self, chances: Tensor) -> Tensor:
        """The expected cost (a scalar), differentiable in `chances` (units of all groups,)."""
        return self._gated(chances) + self.constant


def _prices(
    config: Config, groups: Sequence[Group], shapes: Mapping[str, torch.Size], cost: Cost, size: Cost
) -> dict[str, float]:
    """Cost per parameter of each gated parameter: the mean over its groups of cost saved by parameters saved."""
    saved, values = unit_costs(config, groups, cost), unit_costs(config, groups, size)
    by_parameter: dict[str, list[float]] = {}
    for group in groups:
        if values[group.name] > 0:
            inside = {p.parameter for p in group.places}
            if group.kind in ("layer", "branch"):
                inside |= {n for n in shapes if n.startswith(f"{group.name}.")}
            for name in inside:
                by_parameter.setdefault(name, []).append(saved[group.name] / values[group.name])
    return {name: sum(prices) / len(prices) for name, prices in by_parameter.items()}
