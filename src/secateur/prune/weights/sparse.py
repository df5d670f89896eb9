"""Unstructured pruning while training: masks over the encoder's and decoder's matrices."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping

import torch
from torch import Tensor

from ...base.errors import SecateurError, nearest
from ..counts import matrices
from ..evidence import ActivationCollector
from ..method import Method
from ..schedule import SCHEDULES
from ..settings import PruneSettings
from ..shrink import Network
from .choose import lowest, lowest_of_all, lowest_of_groups, lowest_of_rows, parse_pattern
from .scores import WEIGHT_CRITERIA, WeightEvidence


class SparseMethod(Method[Network]):
    """Zeroes `settings.remove` of all weights of the matrices, or by name pattern the shares of `settings.amounts`.

    `scope` says where weights compete: "global" (all matrices), "layer" (each matrix), "row" (each output); an N:M
    `pattern` replaces both, and with `amounts` each matrix loses its own share. What is gone stays gone.

    Raises:
        SecateurError: an unknown criterion, schedule or pattern, or a name pattern that matches no matrix.
    """

    frozen = True  # masked weights stay zero between events

    def __init__(self, model: Network, settings: PruneSettings, original: float) -> None:
        for what, name, known in (
            ("criterion", settings.criterion, WEIGHT_CRITERIA), ("schedule", settings.schedule, SCHEDULES)
        ):  # fmt: skip
            if name not in known:
                raise SecateurError(f"unknown {what} '{name}'{nearest(name, known)}; known: {', '.join(known)}")
        self.model, self.settings = model, settings
        self.pattern = parse_pattern(settings.pattern) if settings.pattern else None
        every = {name: p for name, p in matrices(model) if p.requires_grad}
        self.shares = _shares(list(every), settings)
        self.weights = {name: every[name] for name in self.shares}
        self.total = sum(p.numel() for p in every.values())
        self.masks: dict[str, Tensor] = {}
        self.sums: dict[str, Tensor] = {}
        self.done = False
        self.collector: ActivationCollector | None = None
        if settings.criterion == "wanda":
            self.collector = ActivationCollector(model)
            self.collector.__enter__()

    def span(self, total: int) -> tuple[int, int]:
        """The steps (counted from 1) of the first pruning event and of the last."""
        return round(self.settings.begin * total), max(round(self.settings.end * total), 1)

    @torch.no_grad()
    def after_backward(self, step: int, total: int) -> None:
        if self.done or self.settings.criterion not in ("taylor", "movement"):
            return
        grads = {n: p.grad for n, p in self.weights.items() if p.grad is not None}
        names = list(grads)
        terms = list(torch._foreach_mul(list(grads.values()), [self.weights[n] for n in names]))
        if self.settings.criterion == "taylor":
            torch._foreach_mul_(terms, terms)
        else:
            torch._foreach_neg_(terms)
        for name, term in zip(names, terms, strict=True):
            old = self.sums.get(name)
            self.sums[name] = term if old is None else old.mul_(0.97).add_(term)

    def evidence(self, name: str) -> WeightEvidence:
        """What was gathered about one matrix."""
        inputs = None if self.collector is None else self.collector.norms()[0].get(name)
        if self.collector is not None and inputs is None:  # recurrent layers have no hook
            inputs = torch.ones(self.weights[name].shape[1], device=self.weights[name].device)
        seed = self.settings.seed * 1_000_003 + sum(map(ord, name))
        return WeightEvidence(self.sums.get(name), self.sums.get(name), inputs, seed)

    def scores(self) -> dict[str, Tensor]:
        """Of every weight; what is gone is below all others."""
        criterion = WEIGHT_CRITERIA[self.settings.criterion]
        found = {n: criterion(p.detach().float(), self.evidence(n)) for n, p in self.weights.items()}
        if self.frozen:
            for name, mask in self.masks.items():
                found[name] = found[name].masked_fill(mask == 0, -torch.inf)
        return found

    @torch.no_grad()
    def prune_to(self, share: float) -> None:
        """Choose anew what is zero, `share` of the final amount."""
        scores = self.scores()
        if self.pattern is not None:
            stay, of = self.pattern
            gone = {n: lowest_of_groups(s, stay, of, share) for n, s in scores.items()}
        elif self.settings.scope == "global" and not self.settings.amounts:
            gone = lowest_of_all(scores, share * (self.settings.remove or 0.0))
        elif self.settings.scope == "row":
            gone = {n: lowest_of_rows(s, share * self.shares[n]) for n, s in scores.items()}
        else:
            gone = {n: lowest(s, round(share * self.shares[n] * s.numel())) for n, s in scores.items()}
        self.masks = {n: (~g).to(self.weights[n].dtype) for n, g in gone.items()}

    def after_step(self, step: int, total: int) -> None:
        begin, end = self.span(total)
        if self.done or step + 1 < begin:
            return
        last = step + 1 >= end
        if last or (step + 1 - begin) % self.settings.every == 0:
            self.prune_to(SCHEDULES[self.settings.schedule](1.0 if last else (step + 1 - begin) / max(end - begin, 1)))
            self.done = last or self.settings.schedule == "one-shot"
            if self.done and self.collector is not None:
                self.collector.__exit__()

    @torch.no_grad()
    def project(self, parameters: dict[str, Tensor]) -> None:
        names = [n for n in self.masks if n in parameters]
        if not names or (not self.frozen and not self.done and parameters[names[0]] is self.weights[names[0]]):
            return
        masks = [self.masks[n].to(parameters[n].device) for n in names]
        torch._foreach_mul_([parameters[n] for n in names], masks)

    def ready(self, step: int, total: int) -> bool:
        return self.done

    def metrics(self) -> dict[str, float]:
        zeros = sum(m.numel() - int(m.count_nonzero()) for m in self.masks.values())
        return {"kept": 1 - zeros / self.total}

    def tensors(self) -> dict[str, Tensor]:
        state = {f"mask.{n}": m.bool() for n, m in self.masks.items()}
        state |= {f"sum.{n}": t for n, t in self.sums.items()}
        return state | {"done": torch.tensor(int(self.done))}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        device = next(iter(self.weights.values())).device
        kept = {n.removeprefix("mask."): t for n, t in tensors.items() if n.startswith("mask.")}
        self.masks = {n: t.to(device, self.weights[n].dtype) for n, t in kept.items()}
        self.sums = {n.removeprefix("sum."): t.to(device) for n, t in tensors.items() if n.startswith("sum.")}
        self.done = bool(tensors["done"])

    def shrunk(self) -> Network:
        """The network with its zeros."""
        for name, mask in self.masks.items():
            self.weights[name].data.mul_(mask)
        return self.model


class Parp(SparseMethod[Network]):
    """Prune, adjust, re-prune: between events masked weights learn and may come back (Lai 2021, arXiv 2106.05933)."""

    frozen = False

    @torch.no_grad()
    def prune_to(self, share: float) -> None:
        super().prune_to(share)
        for name, mask in self.masks.items():  # zeroed now; whether they stay zero, the next events say
            self.weights[name].mul_(mask)


class RigL(SparseMethod[Network]):
    """Sparse from the first event on; the weakest are dropped and those with the largest gradients grown back
    (Evci et al. 2020, arXiv 1911.11134). The share that is exchanged falls from 0.3 along a cosine."""

    exchange = 0.3

    def __init__(self, model: Network, settings: PruneSettings, original: float) -> None:
        super().__init__(model, settings, original)
        self.gradients: dict[str, Tensor] = {}

    @torch.no_grad()
    def after_backward(self, step: int, total: int) -> None:
        super().after_backward(step, total)
        begin, _ = self.span(total)
        if not self.done and self.masks and (step + 1 - begin) % self.settings.every == 0:
            self.gradients = {n: p.grad.abs().clone() for n, p in self.weights.items() if p.grad is not None}

    @torch.no_grad()
    def prune_to(self, share: float) -> None:
        if not self.masks:
            super().prune_to(1.0)
            return
        moved = self.exchange * 0.5 * (1 + torch.cos(torch.tensor(torch.pi * share)).item())
        for name, weight in self.weights.items():
            mask = self.masks[name]
            active = int(mask.count_nonzero())
            count = min(round(moved * active), mask.numel() - active)
            if not count or name not in self.gradients:
                continue
            dropped = lowest(weight.abs().masked_fill(mask == 0, torch.inf), count)
            grown = lowest(-self.gradients[name].masked_fill(mask != 0, -torch.inf), count)
            mask[dropped], mask[grown] = 0.0, 1.0
            weight[grown] = 0.0


class Rewind(SparseMethod[Network]):
    """Iterative magnitude pruning: after each of four rounds the kept weights go back to an early state
    (Frankle et al. 2020, arXiv 1912.05671). All rounds share the steps of one run; the optimiser's moments stay."""

    rounds = 4

    def __init__(self, model: Network, settings: PruneSettings, original: float) -> None:
        super().__init__(model, settings, original)
        self.early: dict[str, Tensor] = {}

    @torch.no_grad()
    def after_step(self, step: int, total: int) -> None:
        begin, end = self.span(total)
        if self.done:
            return
        if step + 1 == max(begin, 1):
            self.early = {n: p.detach().clone() for n, p in self.weights.items()}
        ends = [max(begin, 1) + round((end - begin) * (i + 1) / self.rounds) for i in range(self.rounds)]
        if self.early and step + 1 in ends:
            number = ends.index(step + 1) + 1
            self.prune_to(number / self.rounds)
            self.done = number == self.rounds
            for name, weight in self.weights.items():
                weight.copy_(self.early[name] * self.masks[name])

    def tensors(self) -> dict[str, Tensor]:
        return super().tensors() | {f"early.{n}": t for n, t in self.early.items()}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        super().load(tensors)
        device = next(iter(self.weights.values())).device
        self.early = {n.removeprefix("early."): t.to(device) for n, t in tensors.items() if n.startswith("early.")}


def _shares(names: list[str], settings: PruneSettings) -> dict[str, float]:
    """What share each matrix loses."""
    if not settings.amounts:
        if settings.remove is None or not 0 <= settings.remove < 1:
            raise SecateurError(f"remove must be from 0 to below 1, found {settings.remove}")
        return dict.fromkeys(names, settings.remove)
    shares: dict[str, float] = {}
    for pattern, amount in settings.amounts.items():
        found = [n for n in names if fnmatch.fnmatchcase(n, pattern)]
        if not found:
            raise SecateurError(f"no weight matrix matches '{pattern}'{nearest(pattern, names)}")
        if not 0 <= amount < 1:
            raise SecateurError(f"amount of '{pattern}' must be from 0 to below 1, found {amount}")
        shares |= dict.fromkeys(found, amount)
    return shares
