"""Rewinding: iterative pruning in rounds, each of which resets the remaining weights to an early state."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..settings import PruneSettings
from ..shrink import Net
from .sparse import SparseMethod

ROUNDS = 4


def share_after(final: float, progress: float) -> float:
    """The share that is removed after `progress` (0 to 1) of the rounds: each removes an equal share of the rest.

    >>> [round(share_after(0.75, n / 2), 3) for n in (1, 2)]
    [0.5, 0.75]
    """
    return 1.0 - float((1.0 - final) ** progress)


class Rewind(SparseMethod[Net]):
    """Iterative pruning in four rounds; after each, the network goes back to what it was at the first event's step
    (Frankle et al. 2020, arXiv 1912.05671), without what is gone: every trained parameter and the optimiser's moments.

    All rounds share the steps of one run, and the learning rate goes on (it is not rewound). With the schedule
    "one-shot" there is one round. The training's moving average is not rewound: it follows.
    """

    reads = frozenset({"criterion", "schedule", "scope", "pattern"})

    def __init__(self, model: Net, settings: PruneSettings, original: float) -> None:
        super().__init__(model, settings, original)
        self.parameters = {n: p for n, p in model.named_parameters() if p.requires_grad}
        self.rounds = 1 if settings.schedule == "one-shot" else ROUNDS
        self.early: dict[str, Tensor] = {}  # `parameter` or `parameter:slot of the optimiser` -> early value
        self.optimizer: torch.optim.Optimizer | None = None

    def attach(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer

    def share_at(self, final: float, progress: float) -> float:
        return share_after(final, progress)

    def after_step(self, step: int, total: int) -> None:
        begin, end = self.span(total)
        if self.done:
            return
        if step + 1 == begin:
            self.early = {name: t.detach().clone() for name, t in self.state().items()}
        ends = [begin + round((end - begin) * (i + 1) / self.rounds) for i in range(self.rounds)]
        if self.early and step + 1 in ends:
            number = sum(e <= step + 1 for e in ends)  # several rounds may end in one step of a short run
            self.prune_to(number / self.rounds)
            self.rewind()
            if number == self.rounds:
                self.finish()

    def state(self) -> dict[str, Tensor]:
        """All that rewinding restores, as it is now."""
        values: dict[str, Tensor] = dict(self.parameters)
        if self.optimizer is not None:
            for name, parameter in self.parameters.items():
                slots = self.optimizer.state.get(parameter, {})
                values |= {f"{name}:{slot}": value for slot, value in slots.items() if isinstance(value, Tensor)}
        return values

    @torch.no_grad()
    def rewind(self) -> None:
        """Restore the early state, with zeros where weights are removed."""
        for name, now in self.state().items():
            now.copy_(self.early[name])
        self.project(dict(self.parameters))

    def finish(self) -> None:
        super().finish()
        self.early = {}

    def tensors(self) -> dict[str, Tensor]:
        return super().tensors() | {f"early.{n}": t for n, t in self.early.items()}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        super().load(tensors)
        device = next(iter(self.weights.values())).device
        self.early = {n.removeprefix("early."): t.to(device) for n, t in tensors.items() if n.startswith("early.")}
