"""Early-bird tickets: prune as soon as the ranking of units no longer changes."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..budget import Keep
from ..places import kept_units
from ..settings import PruneSettings
from ..shrink import Net
from ..units import GradualPruner

WINDOW, NEAR = 5, 0.1  # plans that a new one is compared with, and the largest distance (You et al. 2020, section 3)


class EarlyBird(GradualPruner[Net]):
    """Ranks for the whole budget every `settings.every` steps and prunes at once when the plan settles, at the latest
    at the end of the span (You et al. 2020, arXiv 1909.11957; EarlyBERT, Chen et al. 2021, arXiv 2101.00063).

    A plan has settled when it differs from each of the last five in less than a tenth of the units. Until then
    nothing is masked. From then on the network is the masked one, which computes what the small one does; `shrunk`
    makes it small when the training ends. `metrics` names the step as "ticket", counted from 1 (0: none yet).
    """

    reads = GradualPruner.reads - {"schedule"}
    one_shot = False

    def __init__(self, model: Net, settings: PruneSettings, original: float) -> None:
        super().__init__(model, settings, original)
        self.recent: list[Tensor] = []
        self.ticket = 0
        self.distance = 1.0

    def after_step(self, step: int, total: int) -> None:
        time = self.event_time(step, total)
        if time is None:
            return
        keep = self.rank(1.0, self.evidence())
        stays = self._flags(keep)
        distances = [float((stays != old).float().mean()) for old in self.recent]
        self.distance = max(distances, default=1.0)
        self.recent = [*self.recent, stays][-WINDOW:]
        if time == 1.0 or (len(distances) == WINDOW and self.distance < NEAR):
            self.adopt(keep)
            self.ticket = step + 1
            self.finish()

    def _flags(self, keep: Keep) -> Tensor:
        """Which units stay, of all that compete: bool (units,)."""
        kept = kept_units(self.groups, keep)
        one = torch.ones(1, dtype=torch.bool)
        return torch.cat([one, *(kept.get(g.name, one.expand(g.units)) for g in self.competing())])

    def metrics(self) -> dict[str, float]:
        return super().metrics() | {"ticket": float(self.ticket), "distance": self.distance}

    def tensors(self) -> dict[str, Tensor]:
        state = super().tensors() | {f"recent.{i}": plan for i, plan in enumerate(self.recent)}
        return state | {"ticket": torch.tensor(self.ticket), "distance": torch.tensor(self.distance).double()}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        super().load(tensors)
        self.recent = [tensors[f"recent.{i}"] for i in range(sum(n.startswith("recent.") for n in tensors))]
        self.ticket, self.distance = int(tensors["ticket"]), float(tensors["distance"])
