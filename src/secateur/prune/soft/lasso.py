"""Group lasso: a penalty on the sum of units' norms drives whole units to zero; the weakest are removed at the end."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ...base.errors import SecateurError
from ...models.groups import Group
from ..importance import Evidence, magnitude
from ..places import along, unit_sums
from ..settings import PruneSettings
from ..shrink import Net
from ..units import UnitMethod

EPSILON = 1e-12  # keeps the slope of the norm finite at zero


def group_lasso(groups: Sequence[Group], weights: Mapping[str, Tensor]) -> Tensor:
    """Sum over units of sqrt(size) times the L2 norm of all a unit's weights (Yuan and Lin 2006), a scalar.

    Groups may overlap (a head and its value dimensions): a weight is then penalised by each.
    """
    squares = _squares(groups, weights)
    total = []
    for group in groups:
        sizes = unit_sizes(group, {n: s.shape for n, s in squares.items()})
        norms = (unit_sums(group, squares) + EPSILON).sqrt()
        total.append((norms * norms.new_tensor(sizes).sqrt()).sum())
    return torch.stack(total).sum()


def _squares(groups: Sequence[Group], weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Squares of the weights that units live in (a layer's buffers are no weights)."""
    return {
        p.parameter: weights[p.parameter].float().square() for g in groups for p in g.places if p.parameter in weights
    }


def unit_sizes(group: Group, shapes: Mapping[str, torch.Size]) -> list[float]:
    """How many values each unit of `group` has."""
    shared, sizes = 0.0, [0.0] * group.units
    for place in group.places:
        if place.parameter not in shapes:
            continue
        shape = shapes[place.parameter]
        lines = math.prod(shape) / shape[place.dim] * place.width
        if place.unit is None:
            shared += lines
        else:
            sizes[place.unit] += math.prod(shape) if place.start is None else lines
    return [shared + size for size in sizes]


@torch.no_grad()
def lasso_slope(groups: Sequence[Group], weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The gradient of `group_lasso` by parameter, without a graph: w times the sum of its units' sqrt(size) / norm."""
    squares = _squares(groups, weights)
    slopes = {name: torch.zeros_like(square) for name, square in squares.items()}
    for group in groups:
        sizes = unit_sizes(group, {n: s.shape for n, s in squares.items()})
        norms = (unit_sums(group, squares) + EPSILON).sqrt()
        factor = norms.new_tensor(sizes).sqrt() / norms
        for place in (p for p in group.places if p.parameter in slopes):
            slopes[place.parameter] += along(factor, place, squares[place.parameter].shape)
    return {name: slope * weights[name].float() for name, slope in slopes.items()}


class GroupLasso(UnitMethod[Net]):
    """Penalises the units of `settings.kinds`; those with the smallest norms are removed at the end of the span.

    The gradient of the group lasso is added to the loss's with a strength that grows linearly from nothing at `begin`
    to `settings.pressure` times the norm of the loss's gradient at `end`: a fixed weight would act differently in every
    size of network. Ranked is a unit's norm as a share of its group's mean norm before training, whatever the unit
    costs. A weight moves at most the learning rate times the steps of the span. (Plain L1 has no groups and a fixed
    weight: `TrainSettings.l1`.)
    """

    reads = UnitMethod.reads | {"pressure"}
    per_cost = False

    def __init__(self, model: Net, settings: PruneSettings, original: float) -> None:
        super().__init__(model, settings, original)
        self.pressed = self.competing()
        if not self.pressed:
            raise SecateurError("group-lasso: the model has no units of these kinds; name others (prune.kinds)")
        self.weights = dict(model.named_parameters())
        with torch.no_grad():
            self.before = torch.stack([self._norms(g).mean() for g in self.groups])
            self.initial_penalty = float(group_lasso(self.pressed, self.weights))

    def _norms(self, group: Group) -> Tensor:
        norms: Tensor = magnitude(group, Evidence(weights=self.weights))
        return norms

    @torch.no_grad()
    def after_backward(self, step: int, total: int) -> None:
        begin, end = self.span(total)
        if self.done or step < begin:
            return
        slopes = {n: s for n, s in lasso_slope(self.pressed, self.weights).items() if self.weights[n].grad is not None}
        gradients: list[Tensor] = [p.grad for p in self.weights.values() if p.grad is not None]
        loss, lasso = (torch.stack(torch._foreach_norm(list(t))).norm() for t in (gradients, slopes.values()))
        strength = self.settings.pressure * min((step + 1 - begin) / max(end - begin, 1), 1.0)
        for name, slope in slopes.items():
            self.weights[name].grad += slope * (strength * loss / lasso.clamp_min(EPSILON))

    def after_step(self, step: int, total: int) -> None:
        if not self.done and step + 1 >= self.span(total)[1]:
            pairs = zip(self.groups, self.before, strict=True)
            self.adopt(self.plan(1.0, {g.name: self._norms(g).cpu() / float(mean) for g, mean in pairs}))
            self.done = True

    def metrics(self) -> dict[str, float]:
        with torch.no_grad():
            return super().metrics() | {"lasso": float(group_lasso(self.pressed, self.weights)) / self.initial_penalty}

    def tensors(self) -> dict[str, Tensor]:
        return super().tensors() | {"before": self.before, "whole": torch.tensor(self.initial_penalty).double()}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        super().load(tensors)
        self.before, self.initial_penalty = tensors["before"], float(tensors["whole"])
