"""Ways to prune while training, by name: each is a `Method`, a training callback that ends in a smaller network.

A new one is a class and its line in `METHODS`; settings, command line and studies find it by name.
"""

from __future__ import annotations

from typing import Any

from ..base.errors import SecateurError, check_known
from .method import Method
from .pruner import GradualPruner
from .refit import Refit
from .settings import PruneSettings
from .soft.early_bird import EarlyBird
from .soft.gates import L0Gates
from .soft.lasso import GroupLasso
from .soft.layer_drop import LayerDrop
from .target import parse_target
from .units import UnitMethod
from .weights.one_shot import SparseGPT, Wanda
from .weights.regrow import RigL
from .weights.rewind import Rewind
from .weights.sparse import Parp, SparseMethod

METHODS: dict[str, type[Method[Any]]] = {
    "gradual": GradualPruner,  # whole units, ranked while training (the default)
    "refit": Refit,  # the same, and what stays is solved anew for what goes
    "gates": L0Gates,  # whole units, by gates that are learnt under a budget
    "group-lasso": GroupLasso,  # whole units, pressed by the sum of their norms
    "early-bird": EarlyBird,  # whole units, all at once when the ranking settles
    "layer-drop": LayerDrop,  # whole layers, after training with layers skipped at random
    "sparse": SparseMethod,  # single weights, ranked while training; they become zeros
    "parp": Parp,  # single weights that may come back until the last event
    "rigl": RigL,  # single weights, sparse from the start, exchanged for others
    "rewind": Rewind,  # single weights, in rounds that go back to an early state
    "wanda": Wanda,  # single weights, once, by size times input, in every row
    "sparsegpt": SparseGPT,  # single weights, once; the others make up for them
}


def check_settings(settings: PruneSettings) -> None:
    """Refuse a method that is not known, or names that it does not know, before any work starts.

    Raises:
        SecateurError: with the nearest right name.
    """
    check_known("method", settings.method, METHODS)
    if settings.target:
        parse_target(settings.target)
        if not issubclass(METHODS[settings.method], UnitMethod):
            raise SecateurError(f"a target is met by removing whole units, not by '{settings.method}': use gradual")
        if settings.amounts or settings.plan:
            raise SecateurError("a target decides how much of each group goes: leave out target, or amounts and plan")
    METHODS[settings.method].check(settings)


def make_method(model: Any, settings: PruneSettings, original: float) -> Method[Any]:
    """The callback that `settings.method` names.

    Raises:
        SecateurError: see `check_settings`; a budget that the method cannot meet.
    """
    check_settings(settings)
    return METHODS[settings.method](model, settings, original)
