"""A criterion, a schedule, and a method with a setting of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from secateur.base.options import Settings, option
from secateur.models.groups import Group
from secateur.prune.importance import CRITERIA, Criterion, Evidence
from secateur.prune.units import GradualPruner


def product(group: Group, evidence: Evidence) -> Any:
    """Gradient times weight, times what is read: it asks for both, and gets both."""
    assert evidence.inputs
    return CRITERIA["taylor"](group, evidence) * CRITERIA["wanda"](group, evidence)


PRODUCT = Criterion(product, ("taylor", "activations"))


def late(progress: float) -> float:
    """Little at first, much at the end."""
    return min(max(progress, 0.0), 1.0) ** 3


@dataclass(frozen=True)
class OnceSettings(Settings):
    """When it prunes."""

    moment: float = option(0.5, "Prune after this share of the steps.", unit="share", above=0, most=1)


class Once(GradualPruner[Any]):
    """Ranks while training and removes everything at one moment."""

    Own = OnceSettings
    reads = GradualPruner.reads - {"every"}

    def after_step(self, step: int, total: int) -> None:
        if not self.done and step + 1 >= max(round(self.own.moment * total), 1):
            self.prune_to(1.0)
            self.finish()
