"""L0 regularisation: every unit has a hard-concrete gate, learned with the weights until the budget is met.

Gates are in [0, 1] (Louizos et al. 2018, arXiv 1712.01312): a logit a and a uniform draw u give
s = sigmoid((log u - log(1 - u) + a) / BETA), stretched to (LOW, HIGH) and clipped. Both 0 and 1 have mass, and between
them the gate is differentiable in a.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from ...base.errors import SecateurError
from ...train.state import load_optimizer, optimizer_tensors
from ..places import kept_units
from ..schedule import SCHEDULES
from ..settings import PruneSettings
from ..shrink import Net
from ..units import COSTS, UnitMethod
from .expected import ExpectedCost
from .gating import Gating

BETA, LOW, HIGH = 2 / 3, -0.1, 1.1


OPEN = 3.0  # logits at the start: settled gates are 1, so that the network is the whole one
TRAVEL = 20.0  # how far a logit may move in the span, in steps of Adam's full size
ASCENT = 10.0  # of a multiplier in the span, were nothing to close in all that time
SQUARE = 10.0  # lambda2 at the start
SETTLE = 0.8  # share of the span after which the target no longer moves


def sampled(logits: Tensor, uniform: Tensor) -> Tensor:
    """Gates for draws `uniform` in (0, 1), differentiable in `logits`."""
    noise = uniform.log() - torch.log1p(-uniform)
    return (torch.sigmoid((noise + logits) / BETA) * (HIGH - LOW) + LOW).clamp(0, 1)


def open_chance(logits: Tensor) -> Tensor:
    """P(gate > 0) = sigmoid(a - BETA log(-LOW / HIGH)), equation 12."""
    return torch.sigmoid(logits - BETA * math.log(-LOW / HIGH))


def settled(logits: Tensor) -> Tensor:
    """The gate that is used without noise, equation 13."""
    return (torch.sigmoid(logits) * (HIGH - LOW) + LOW).clamp(0, 1)


class L0Gates(UnitMethod[Net]):
    """Gates on the units of `settings.kinds` (Louizos et al. 2018, arXiv 1712.01312), held to the budget by an
    augmented Lagrangian (Wang et al. 2020, arXiv 1910.04732): loss + lambda1 d + lambda2 d^2, where d is how far the
    expected cost is above a target that goes to the budget by `settings.schedule`, as a share of all that is to go,
    and both lambdas ascend.

    While gates are learned, the network holds raw weights times sampled gates from `before_forward` to
    `after_backward`, raw weights while the optimiser moves, and raw weights times settled gates between steps: that is
    what averages and validation see. At the end of the span the units whose gates are least likely to be open go until
    the budget is met exactly, the others' gates stay in their weights for good.
    """

    reads = UnitMethod.reads | {"schedule"}
    per_cost = False  # what a unit costs has been in the penalty

    def __init__(self, model: Net, settings: PruneSettings, original: float) -> None:
        super().__init__(model, settings, original)
        self.gated = self.competing()
        if not self.gated:
            raise SecateurError("gates: the model has no units of these kinds; name others (prune.kinds)")
        self.gating = Gating(model, self.gated)
        self.expected = ExpectedCost(model.config, self.gated, self.shapes, self.cost, COSTS["parameters"])
        self.goal = self.cost(model.config.shrunk(dict(self.example)))
        self.logits = torch.full((sum(self.gating.sizes),), OPEN, requires_grad=True)
        self.multipliers = torch.tensor([0.0, SQUARE])
        self.gates: Tensor | None = None
        self.optimizer: torch.optim.Adam | None = None

    def before_forward(self, step: int, total: int) -> None:
        begin, end = self.span(total)
        if self.done or step < begin:
            return
        if self.optimizer is None:
            self.optimizer = self._start()
        self.optimizer.param_groups[0]["lr"] = TRAVEL / max(end - begin, 1)
        # The loop seeds the generator by step: draws are equal in every process and micro-batch, and nothing to store.
        uniform = torch.rand(len(self.logits), device="cpu").clamp(1e-6, 1 - 1e-6).to(self.logits.device)
        self.gates = sampled(self.logits, uniform)
        self.gating.write(self.gates.detach())

    def after_backward(self, step: int, total: int) -> None:
        if self.gates is None or self.optimizer is None:
            return
        slope = self.gating.gradient(self.gates.detach())
        self.gating.write(None)
        above = (self.expected(open_chance(self.logits)) - self.aim(step, total)) / max(self.start - self.goal, 1.0)
        linear, square = self.multipliers
        self.optimizer.zero_grad()
        torch.autograd.backward([self.gates, linear * above + square * above.square()], [slope, torch.ones_like(above)])
        self.optimizer.step()
        self.gates = None
        rate = ASCENT / max(self.span(total)[1] - self.span(total)[0], 1)
        self.multipliers += rate * torch.stack([above, above.square()]).detach()

    def aim(self, step: int, total: int) -> float:
        """The target of the expected cost at `step`."""
        begin, end = self.span(total)
        progress = min((step + 1 - begin) / max(SETTLE * (end - begin), 1), 1.0)
        return self.start - SCHEDULES[self.settings.schedule](progress) * (self.start - self.goal)

    def after_step(self, step: int, total: int) -> None:
        if self.done or self.optimizer is None:
            return
        self.gating.save_raw()
        gates = settled(self.logits.detach())
        if step + 1 >= self.span(total)[1]:
            self.adopt(self.plan(1.0, self.scores()))
            kept = kept_units(self.gated, self.keep)
            stays = [kept.get(g.name, torch.ones(g.units, dtype=torch.bool)) for g in self.gated]
            gates = gates * torch.cat(stays).to(gates.device)
            self.done = True
        self.gating.write(gates)
        if self.done:
            self.gating.raw, self.optimizer = {}, None

    def scores(self) -> dict[str, Tensor]:
        """P(open) of each unit that has a gate."""
        chances = torch.split(open_chance(self.logits.detach().double()).cpu(), self.gating.sizes)
        chances_of = {g.name: torch.ones(g.units) for g in self.groups}
        return chances_of | {g.name: chance.float() for g, chance in zip(self.gated, chances, strict=True)}

    def metrics(self) -> dict[str, float]:
        with torch.no_grad():
            expected = float(self.expected(open_chance(self.logits)))
        return super().metrics() | {"expected": expected / self.original, "lambda": float(self.multipliers[0])}

    def tensors(self) -> dict[str, Tensor]:
        state = super().tensors() | self.gating.tensors()
        state |= {"logits": self.logits.detach(), "multipliers": self.multipliers}
        return state | ({} if self.optimizer is None else optimizer_tensors(self.optimizer))

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        super().load(tensors)
        if any(name.startswith("optimizer.") for name in tensors):
            self.optimizer = self._start()
            load_optimizer(self.optimizer, dict(tensors))
            self.gating.load(dict(tensors))
        with torch.no_grad():
            self.logits.copy_(tensors["logits"])
        self.multipliers = tensors["multipliers"].to(self.logits.device)

    def _start(self) -> torch.optim.Adam:
        """Move everything to the network's device and open the gates."""
        device = next(self.model.parameters()).device
        self.logits = self.logits.detach().to(device).requires_grad_()
        self.multipliers = self.multipliers.to(device)
        self.expected.to(device)
        self.gating.save_raw()
        return torch.optim.Adam([self.logits])
