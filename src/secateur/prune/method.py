"""The base of pruning methods: a training callback that masks while training and then gives a smaller network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Generic

import torch
from torch import Tensor

from ..base.options import from_dict
from ..train.callback import Callback
from ..train.sharding import part_of
from .schedule import moment
from .settings import PruneSettings
from .shrink import Net


@dataclass(frozen=True)
class NoSettings:
    """A method without settings of its own."""


class Method(Callback, Generic[Net]):
    """Base of all methods. `model` is the network that is being trained; `project` zeroes what `masks` remove;
    `done` says that pruning has ended and the rest of the training recovers.

    `original` is the cost of the model before any pruning.

    `reads` names the settings of `PruneSettings`, among those that not all methods have, which this one follows. `Own`
    is a frozen dataclass of settings that no other method has; `own` holds them, from the table `prune.own`.

    Raises:
        SecateurError: see `check`.
    """

    reads: ClassVar[frozenset[str]] = frozenset()
    whole_units: ClassVar[bool] = False  # rather than single weights
    low_rank_updates: ClassVar[bool] = False  # whether it prunes a model of which only low-rank updates are trained
    sharded: ClassVar[bool] = False  # whether it prunes a model that is sharded over processes
    Own: ClassVar[type[Any]] = NoSettings

    def __init__(self, model: Net, settings: PruneSettings, original: float) -> None:
        self.check(settings)
        self.model, self.settings = model, settings
        self.own: Any = own_settings(type(self), settings)
        self.masks: dict[str, Tensor] = {}  # by parameter; broadcast over it
        self.done = False

    @classmethod
    def check(cls, settings: PruneSettings) -> None:
        """Refuse settings that this method cannot follow, before any work starts.

        Raises:
            SecateurError: with the nearest right name where one is unknown.
        """

    def span(self, total: int) -> tuple[int, int]:
        """The steps (counted from 1) of the first pruning event and of the last."""
        raise NotImplementedError

    def event_time(self, step: int, total: int) -> float | None:
        """How far through the span (0 to 1) the pruning event after `step` is; None when there is none."""
        return None if self.done else moment(step + 1, *self.span(total), self.settings.every)

    @torch.no_grad()
    def project(self, parameters: dict[str, Tensor]) -> None:
        names = [n for n in self.masks if n in parameters]
        if names:
            masks = [part_of(self.masks[n], parameters[n]).to(parameters[n].device) for n in names]
            torch._foreach_mul_([parameters[n] for n in names], masks)

    def ready(self, step: int, total: int) -> bool:
        return self.done

    def shrunk(self) -> Net:
        """The network without what was removed: units physically, single weights as zeros."""
        raise NotImplementedError


def own_settings(method: type[Method[Any]], settings: PruneSettings) -> Any:
    """The table `prune.own` as the method's own dataclass.

    Raises:
        SecateurError: a key that the method does not have, or a value of the wrong type.
    """
    return from_dict(method.Own, dict(settings.own), "prune.own")
