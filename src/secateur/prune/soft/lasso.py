"""Group lasso: a penalty on the norm of each unit that presses whole units towards zero; the weakest go at the end."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ...base.errors import SecateurError
from ...models.groups import Group
from ..importance import Evidence, magnitude
from ..places import unit_sums
from ..settings import PruneSettings
from ..shrink import Network
from ..units import UnitMethod

TINY = 1e-12  # keeps the slope of the norm finite at zero


def group_lasso(groups: Sequence[Group], weights: Mapping[str, Tensor]) -> Tensor:
    """Sum over units of sqrt(size) times the L2 norm of all a unit's weights (Yuan and Lin 2006), a scalar.

    Groups may overlap (a head and its value dimensions): a weight is then pressed by each.
    """
    squares = {p.parameter: weights[p.parameter].float().square() for g in groups for p in g.places}
    total = []
    for group in groups:
        sizes = unit_sizes(group, {n: s.shape for n, s in squares.items()})
        norms = (unit_sums(group, squares) + TINY).sqrt()
        total.append((norms * norms.new_tensor(sizes).sqrt()).sum())
    return torch.stack(total).sum()


def unit_sizes(group: Group, shapes: Mapping[str, torch.Size]) -> list[float]:
    """How many values each unit of `group` has."""
    shared = sum(
        math.prod(shapes[p.parameter]) / shapes[p.parameter][p.dim] * p.width for p in group.places if p.unit is None
    )
    own = [shared] * group.units
    for place in group.places:
        if place.unit is not None:
            own[place.unit] += math.prod(shapes[place.parameter])
    return own


class GroupLasso(UnitMethod[Network]):
    """Presses on the units of `settings.kinds`; those with the least norm for their group go at the end of the span.

    The penalty is `settings.pressure` times the group lasso, as a share of its value on the unpruned model, and grows
    linearly from nothing at `begin` to full at `end`. (Plain L1, unit by unit of no group, is `TrainSettings.l1`.)
    """

    normalise = True

    def __init__(self, model: Network, settings: PruneSettings, original: float) -> None:
        super().__init__(model, settings, original)
        self.pressed = self.competing()
        self.weights = dict(model.named_parameters())
        if not self.pressed:
            raise SecateurError("group-lasso: the model has no units of these kinds; name others (prune.kinds)")
        with torch.no_grad():
            self.whole = group_lasso(self.pressed, self.weights)  # before anything moved

    def penalty(self, step: int, total: int) -> Tensor | None:
        begin, end = self.span(total)
        if self.done or step < begin:
            return None
        strength = self.settings.pressure * min((step + 1 - begin) / max(end - begin, 1), 1.0)
        lasso = group_lasso(self.pressed, self.weights)
        self.whole = self.whole.to(lasso.device)
        return strength * lasso / self.whole

    def after_step(self, step: int, total: int) -> None:
        if not self.done and step + 1 >= self.span(total)[1]:
            evidence = Evidence(weights=self.weights)
            self.adopt(self.plan(1.0, {g.name: magnitude(g, evidence) for g in self.groups}))
            self.done = True

    def metrics(self) -> dict[str, float]:
        with torch.no_grad():
            left = float(group_lasso(self.pressed, self.weights)) / float(self.whole)
        return super().metrics() | {"lasso": left}

    def tensors(self) -> dict[str, Tensor]:
        return super().tensors() | {"whole": self.whole}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        super().load(tensors)
        self.whole = tensors["whole"]
