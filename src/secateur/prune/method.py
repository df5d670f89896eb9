"""Ways to prune while training, by name: each is a `Method`, a training callback that ends in a smaller network.

A new one is a class and its line in `METHODS` (or an entry point `secateur.methods` of another package); settings,
command line and studies find it by name. What a method reads of `PruneSettings` is its `reads`; settings that only
others read are refused. What no other method has is its own dataclass, `Own`, filled from the table `prune.own`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Generic

import torch
from torch import Tensor

from ..base.errors import SecateurError
from ..base.options import changed_fields, from_dict
from ..base.plugins import Lazy, Registry
from ..models.network import Network
from ..train.run import Callback
from ..train.sharding import part_of
from .schedule import moment
from .settings import BY_METHOD, PruneSettings, parse_target
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
    one_shot: ClassVar[bool] = False  # whether it ranks units as a cut without training does, which is `gradual`
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


METHODS: Registry[type[Method[Any]]] = Registry("methods", "pruning method", {
    # Whole units:
    "gradual": Lazy("secateur.prune.units:GradualPruner"),  # ranked while training
    "refit": Lazy("secateur.prune.refit:Refit"),  # the same, and the remaining weights compensate by least squares
    "gates": Lazy("secateur.prune.soft.gates:L0Gates"),  # L0 gates learned under a budget
    "group-lasso": Lazy("secateur.prune.soft.lasso:GroupLasso"),  # a penalty on the sum of their norms
    "early-bird": Lazy("secateur.prune.soft.early_bird:EarlyBird"),  # all at once when the ranking is stable
    "layer-drop": Lazy("secateur.prune.soft.layer_drop:LayerDrop"),  # layers, after training with some skipped
    # Single weights, which become zeros:
    "sparse": Lazy("secateur.prune.weights.sparse:SparseMethod"),  # ranked while training
    "parp": Lazy("secateur.prune.weights.sparse:Parp"),  # may come back until the last event
    "rigl": Lazy("secateur.prune.weights.regrow:RigL"),  # sparse from the start; weights are exchanged
    "rewind": Lazy("secateur.prune.weights.rewind:Rewind"),  # in rounds that rewind to an early state
    "wanda": Lazy("secateur.prune.weights.one_shot:Wanda"),  # once, by size times input, in every row
    "sparsegpt": Lazy("secateur.prune.weights.one_shot:SparseGPT"),  # once; the remaining weights compensate
})  # fmt: skip


def check_settings(settings: PruneSettings) -> None:
    """Refuse a method that is not known, settings that it does not read, or names that it does not know, before any
    work starts.

    Raises:
        SecateurError: with the nearest right name, or the methods that have the setting.
    """
    method = METHODS.find(settings.method, "prune.method")
    for field in changed_fields(settings):
        if field.name in BY_METHOD and field.name not in method.reads:
            methods = ", ".join(name for name in METHODS.own if field.name in METHODS[name].reads)
            raise SecateurError(
                f"prune.{field.name}: the method '{settings.method}' has no such setting; those that have it: {methods}"
            )
    _checked(settings)


def check_low_rank_method(method: str, low_rank_updates: bool) -> None:
    """Refuse a method that cannot prune while only low-rank updates are trained.

    Raises:
        SecateurError: with the methods that can.
    """
    if low_rank_updates and not METHODS.find(method, "prune.method").low_rank_updates:
        able = _those(lambda one: one.low_rank_updates)
        raise SecateurError(
            f"the method '{method}' moves the weights themselves, which low-rank updates (training.lora-rank) freeze: "
            f"use {able}, or leave out the updates"
        )


def check_sharded_method(method: str, shard: bool) -> None:
    """Refuse a method that cannot prune a model that is sharded over processes.

    Raises:
        SecateurError: with the methods that can.
    """
    if shard and not METHODS.find(method, "prune.method").sharded:
        able = _those(lambda one: one.sharded)
        raise SecateurError(
            f"the method '{method}' reads whole weights at every step, which training.shard shares out over processes: "
            f"use {able}, or leave out training.shard"
        )


def _those(can: Callable[[type[Method[Any]]], bool]) -> str:
    """The names of our methods that can."""
    return ", ".join(name for name in METHODS.own if can(METHODS[name]))


def _checked(settings: PruneSettings) -> type[Method[Any]]:
    """The method, which can follow `settings`."""
    method = METHODS.find(settings.method, "prune.method")
    own_settings(method, settings)
    if settings.target:
        parse_target(settings.target)
        if not method.whole_units:
            raise SecateurError(f"a target is met by removing whole units, not by '{settings.method}': use gradual")
        if settings.amounts or settings.plan:
            raise SecateurError("a target decides how much of each group goes: leave out target, or amounts and plan")
    method.check(settings)
    return method


def make_method(model: Network, settings: PruneSettings, original: float) -> Method[Any]:
    """The callback that `settings.method` names; settings of other methods are not checked here.

    Raises:
        SecateurError: names that are not known, or a budget that the method cannot meet.
    """
    return _checked(settings)(model, settings, original)
