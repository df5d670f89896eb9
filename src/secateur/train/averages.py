"""Weights beside the current ones: the start (and L2-SP, which pulls towards it), the moving average (EMA), the last
validated ones, the best on dev."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from ..base.files import Json
from .offload import at_home, streamed
from .run import Callback
from .settings import TrainSettings
from .sharding import held
from .state import with_prefix

Weights = dict[str, Tensor]
OFFLOADED_EVERY = 8  # steps after which an average in the computer's memory is moved


class WeightAverages:
    """Averages of the weights and the choice of the result; running statistics of norms are included.

    `project` applies the callbacks' constraints (pruning masks) to weights, in place.
    """

    def __init__(
        self, parameters: Mapping[str, Tensor], settings: TrainSettings, project: Callable[[Weights], None]
    ) -> None:
        self.parameters, self.settings, self.project = parameters, settings, project
        self.start = self.copy() if settings.share_trained < 1 else None
        self.average = self.copy() if settings.ema else None
        self.left = 1.0  # of the average, after the steps that an offloaded one has not seen yet
        self.unseen = 0
        self.since: int | None = None  # step at which the average restarted: the first after the last pruning step
        self.recent: list[Weights] = []
        self.best: Weights | None = None
        self.best_error = math.inf
        self.waited = 0  # validations since the best one

    def update(self, step: int, ready: bool = True) -> None:
        """Move the average towards the current weights; it restarts at the first step that is `ready`.

        Averages must not span the last pruning step: weights before it compensate for units that no longer exist.
        """
        if self.average is None:
            return
        if ready and self.since is None:
            self.since = step
        # A lower decay in the first steps, so that the average does not stick to the start (Polyak averaging).
        steps = step - (self.since or 0)
        decay = min(self.settings.ema, (1 + steps) / (10 + steps))
        if self.since == step > 0:
            decay = 0.0
        if not self.settings.offload:
            torch._foreach_lerp_(list(self.average.values()), list(self.parameters.values()), 1 - decay)
            return
        self.left *= decay
        self.unseen += 1
        if self.unseen == OFFLOADED_EVERY or decay == 0:
            self._catch_up()

    @torch.no_grad()
    def _catch_up(self) -> None:
        """Move an offloaded average by all the steps since it moved last, as if their weights were the current ones."""
        if self.average is not None and self.unseen:
            stores = list(self.average.values())
            for number, (average, parameter) in enumerate(streamed(stores, list(self.parameters.values()))):
                stores[number].copy_(average.lerp_(parameter, 1 - self.left), non_blocking=True)
            _wait(self.parameters)
        self.left, self.unseen = 1.0, 0

    def current(self) -> Weights:
        """The weights to validate: the average when there is one, interpolated with the start if configured
        (WiSE-FT)."""
        self._catch_up()
        chosen = self.parameters if self.average is None else self.average
        weights = self._copied(chosen)
        if self.start is not None:
            torch._foreach_lerp_(list(weights.values()), list(self.start.values()), 1 - self.settings.share_trained)
        self.project(weights)
        return weights

    def add_recent(self, weights: Weights) -> None:
        """Store `weights` for `average_last`, which averages the last validations."""
        if self.settings.average_last:
            self.recent = [*self.recent, {n: t.cpu() for n, t in weights.items()}][-self.settings.average_last :]

    def offer(self, weights: Weights, error: float) -> None:
        """Store `weights` as the best if their `error` is the lowest so far."""
        self.waited += 1
        if error < self.best_error:
            self.waited = 0
            self.best_error = error
            self.best = {n: t.cpu() for n, t in weights.items()}

    def settled(self) -> bool:
        """Whether `settings.patience` validations in a row were no better than the best: the run may stop."""
        return 0 < self.settings.patience <= self.waited

    def result(self) -> Weights:
        """The result of the run, by `select`, `patience` and `average_last`."""
        if (self.settings.select == "best" or self.settings.patience) and self.best is not None:
            return self.best
        if self.settings.average_last and self.recent:
            device = next(iter(self.parameters.values())).device
            weights = {n: torch.stack([r[n] for r in self.recent]).mean(0).to(device) for n in self.recent[0]}
            self.project(weights)
            return weights
        return self.current()

    @torch.no_grad()
    def write(self, weights: Weights) -> None:
        """Copy `weights` into the network."""
        for name, value in weights.items():
            self.parameters[name].copy_(value)

    def tensors(self) -> tuple[dict[str, Tensor], Json]:
        """State, for resuming: tensors and JSON values."""
        self._catch_up()
        stores = {"model": self.parameters, "ema": self.average or {}, "best": self.best or {}}
        stores |= {f"recent{i}": weights for i, weights in enumerate(self.recent)}
        tensors = {f"{prefix}.{n}": t.detach() for prefix, store in stores.items() for n, t in store.items()}
        error = None if math.isinf(self.best_error) else self.best_error
        return tensors, {"best_error": error, "waited": self.waited, "recent": len(self.recent), "since": self.since}

    def load(self, tensors: dict[str, Tensor], values: Json) -> None:
        """Restore the state that `tensors` returned."""
        self.write(with_prefix(tensors, "model"))
        if self.average is not None:
            stored = with_prefix(
                tensors, "ema"
            )  # sorted by name; the update pairs it with the parameters in their order
            for name, average in self.average.items():
                average.copy_(stored[name])
        self.best = with_prefix(tensors, "best") or None
        self.recent = [with_prefix(tensors, f"recent{i}") for i in range(values["recent"])]
        self.best_error = math.inf if values["best_error"] is None else values["best_error"]
        self.waited, self.since = values["waited"], values["since"]

    def copy(self) -> Weights:
        """A copy of the current weights; offloaded in the computer's memory."""
        return self._copied(self.parameters)

    def _copied(self, weights: Mapping[str, Tensor]) -> Weights:
        if self.settings.offload:
            return {n: at_home(t) for n, t in weights.items()}
        return {n: t.detach().clone() for n, t in weights.items()}


def _wait(weights: Mapping[str, Tensor]) -> None:
    """Until copies to the computer's memory have arrived."""
    device = next(iter(weights.values())).device
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class L2SP(Callback):
    """The gradient of strength * sum (w - start)^2 over all trained weights (L2-SP, Li et al. 2018, arXiv 1802.01483).

    It joins the loss's gradient before clipping; the logged loss is without it. Weights that are exactly zero are left
    out, so that pruned weights stay at zero. With `offload` the start is in the computer's memory. Of sharded weights
    each process holds its part of the start.
    """

    def __init__(self, model: nn.Module, strength: float, offload: bool = False) -> None:
        self.strength, self.offload = strength, offload
        self.parameters: list[Tensor] = [p for p in model.parameters() if p.requires_grad]
        parts = [held(p) for p in self.parameters]
        self.start = [at_home(p, exact_half=True) if offload else p.detach().clone() for p in parts]

    @torch.no_grad()
    def after_backward(self, step: int, total: int) -> None:
        for parameter in self.parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        parameters = [held(p) for p in self.parameters]
        gradients = [held(p.grad) for p in self.parameters if p.grad is not None]
        if self.offload:
            for gradient, (start, parameter) in zip(gradients, streamed(self.start, parameters), strict=True):
                gradient.add_(torch.sub(parameter, start).mul_(parameter != 0), alpha=2 * self.strength)
            return
        self.start = [s.to(p.device) for s, p in zip(self.start, parameters, strict=True)]
        difference = list(torch._foreach_sub(parameters, self.start))
        torch._foreach_mul_(difference, [p != 0 for p in parameters])
        torch._foreach_add_(gradients, difference, alpha=2 * self.strength)
