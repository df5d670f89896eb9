"""Gradual pruning while training: a callback that ranks, masks, and at the end shrinks."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..base.errors import SecateurError, nearest
from ..models.family import family_of
from ..models.groups import KINDS
from .budget import Cost, Keep, by_amounts, by_budget, partly
from .evidence import ActivationCollector, TaylorCollector
from .importance import CRITERIA, Evidence
from .method import Method
from .places import kept_units, parameter_masks
from .schedule import SCHEDULES
from .settings import PruneSettings
from .shrink import Network, shrink

COSTS: dict[str, Cost] = {
    "parameters": lambda config: float(family_of(config).parameters(config)),
    "macs": lambda config: float(family_of(config).macs(config, 5.0, 16, False)),  # of a usual clip, not padded
}


def check_settings(settings: PruneSettings) -> None:
    """Refuse names that no criterion, schedule or kind has, before any work starts.

    Raises:
        SecateurError: with the nearest right name.
    """
    for what, name, known in (
        ("criterion", settings.criterion, list(CRITERIA)),
        ("schedule", settings.schedule, list(SCHEDULES)),
        *(("kind", kind, list(KINDS)) for kind in settings.kinds),
    ):
        if name not in known:
            raise SecateurError(f"unknown {what} '{name}'{nearest(name, known)}; known: {', '.join(known)}")
    if settings.remove is not None and not 0 <= settings.remove < 1:
        raise SecateurError(f"remove must be from 0 to below 1, found {settings.remove}")


class GradualPruner(Method[Network]):
    """Removes units of `model` (whose vocabulary and contexts were cut before) until the budget is met.

    `original` is the cost of the model before anything went, which `settings.remove` is a share of.
    """

    def __init__(self, model: Network, settings: PruneSettings, original: float) -> None:
        check_settings(settings)
        self.model, self.settings = model, settings
        self.cost = COSTS[settings.measure]
        self.start = self.cost(model.config)
        self.target = None if settings.remove is None else original * (1 - settings.remove)
        self.original = original
        asked = {kind for kind in ("mel", "input") if kind in settings.kinds}  # inputs go only when asked for
        left = {"vocabulary", "mel", "input"} - asked
        self.groups = [g for g in model.groups() if g.maskable and g.kind not in left]
        self.shapes = {n: p.shape for n, p in model.named_parameters()}
        self.taylor = TaylorCollector(model, self.groups, decay=0.97)
        self.activations: ActivationCollector | None = None
        if settings.criterion == "wanda":
            self.activations = ActivationCollector(model)
            self.activations.__enter__()
        self.keep: Keep = {}
        self.masks: dict[str, Tensor] = {}
        self.done = False

    def evidence(self) -> Evidence:
        """What was gathered while training."""
        evidence = Evidence(weights=dict(self.model.named_parameters()), taylor=self.taylor.means())
        if self.activations is not None:
            evidence.inputs, evidence.outputs = self.activations.norms()
        return evidence

    def plan(self, share: float, evidence: Evidence) -> Keep:
        """The units that stay when `share` of the final amount is gone."""
        criterion = CRITERIA[self.settings.criterion]
        scores = {g.name: criterion(g, evidence).detach().float().cpu() for g in self.groups}
        groups, settings = self.groups, self.settings
        for name, kept in self.keep.items():  # what is gone stays gone
            gone = torch.ones(len(scores[name]), dtype=torch.bool)
            gone[kept] = False
            scores[name][gone] = -1.0
        if settings.amounts:
            return partly(groups, scores, by_amounts(groups, scores, settings.amounts), share)
        if self.target is None or self.start <= self.target:
            return {}
        target = self.start - share * (self.start - self.target)
        return by_budget(
            self.model.config, groups, scores, target, self.cost, settings.kinds,
            normalise=settings.criterion != "taylor", protect=settings.protect,
        )  # fmt: skip

    def prune_to(self, share: float, evidence: Evidence | None = None) -> None:
        """Rank and mask now, by `evidence` or by what was gathered while training."""
        self.keep = self.plan(share, evidence or self.evidence())
        device = next(self.model.parameters()).device
        kept = kept_units(self.groups, self.keep)
        masks = parameter_masks(self.groups, kept, self.shapes)
        self.masks = {name: m.to(device) for name, m in masks.items()}

    def after_backward(self, step: int, total: int) -> None:
        if not self.done and self.settings.criterion == "taylor":
            self.taylor.update()

    def after_step(self, step: int, total: int) -> None:
        begin, end = round(self.settings.begin * total), max(round(self.settings.end * total), 1)
        if self.done or step + 1 < begin:
            return
        last = step + 1 >= end
        if last or (step + 1 - begin) % self.settings.every == 0:
            progress = 1.0 if last else (step + 1 - begin) / max(end - begin, 1)
            self.prune_to(SCHEDULES[self.settings.schedule](progress))
            self.done = last or self.settings.schedule == "one-shot"
            if self.done and self.activations is not None:
                self.activations.__exit__()

    @torch.no_grad()
    def project(self, parameters: dict[str, Tensor]) -> None:
        names = [n for n in self.masks if n in parameters]
        if names:
            torch._foreach_mul_([parameters[n] for n in names], [self.masks[n].to(parameters[n].device) for n in names])

    def ready(self, step: int, total: int) -> bool:
        return self.done

    def metrics(self) -> dict[str, float]:
        return {"kept": self.cost(self.model.config.shrunk(dict(self.keep))) / self.original}

    def tensors(self) -> dict[str, Tensor]:
        state = {f"keep.{name}": torch.tensor(units) for name, units in self.keep.items()}
        return state | self.taylor.tensors() | {"done": torch.tensor(int(self.done))}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        device = next(self.model.parameters()).device
        self.keep = {n.removeprefix("keep."): t.tolist() for n, t in tensors.items() if n.startswith("keep.")}
        masks = parameter_masks(self.groups, kept_units(self.groups, self.keep), self.shapes)
        self.masks = {name: m.to(device) for name, m in masks.items()}
        self.taylor.load(dict(tensors), device)
        self.done = bool(tensors["done"])

    def shrunk(self) -> Network:
        """The model without what was masked."""
        self.project(dict(self.model.named_parameters()))
        return shrink(self.model, self.keep)
