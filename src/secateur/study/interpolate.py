"""Against forgetting: trained weights are interpolated with the start until rehearsal dev sets are kept.

WiSE-FT (Wortsman et al. 2022, arXiv 2109.01903): the mean of the weights before and after fine-tuning. A pruned model's
start is the original without what was removed: the units that stay are drawn back to the original's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..base.files import Json
from ..base.progress import say
from ..data.job import JobData
from ..evaluate.scoring import decode_set
from ..models.family import TextCodec
from ..models.network import Network
from ..train import distributed
from ..train.callback import Callback
from ..train.settings import TrainSettings

SHARES = (1.0, 0.85, 0.7, 0.55, 0.4, 0.25)  # of the trained weights, in the order in which they are tried
ALLOWED = 0.005  # error rate above the original's

Weights = dict[str, Tensor]
Rates = dict[str, float]


@dataclass(frozen=True)
class ShareTrial:
    """One share: error rates on dev, and on the rehearsal dev sets."""

    share: float
    dev: float
    kept: Rates


def interpolated(start: Mapping[str, Tensor], trained: Mapping[str, Tensor], share: float) -> Weights:
    """The weights between, name by name; what is not a float (counts of batches) is the trained one's."""
    return {
        name: torch.lerp(start[name].to(value), value, share) if value.is_floating_point() else value.clone()
        for name, value in trained.items()
    }


def choose(trials: list[ShareTrial], original: Mapping[str, float], allowed: float = ALLOWED) -> ShareTrial:
    """The lowest error on dev among those that keep every set; where none does, the one that forgets least.

    >>> kept = choose([ShareTrial(1.0, 0.10, {"en": 0.25}), ShareTrial(0.7, 0.11, {"en": 0.172})], {"en": 0.169})
    >>> kept.share
    0.7
    """

    def excess(one: ShareTrial) -> float:
        return max((rate - original[name] for name, rate in one.kept.items()), default=0.0)

    good = [one for one in trials if excess(one) <= allowed + 1e-12]
    if good:
        return min(good, key=lambda one: (one.dev, -one.share))
    return min(trials, key=lambda one: (round(excess(one), 6), one.dev, -one.share))


def settle(
    model: Network, start: Weights, original: Rates, project: Callable[[Weights], None],
    judge: Callable[[Network], tuple[float, Rates]], label: str, shares: Sequence[float] = SHARES,
) -> Json:  # fmt: skip
    """Leave in `model` the weights between `start` and its own that `choose` takes; returns what was forgotten.

    `judge` gives the error on dev and on every set to keep, `project` brings weights back to what pruning allows.
    """
    trained = {name: value.detach().clone() for name, value in model.state_dict().items()}
    trials, first = [], distributed.rank() == 0
    for share in shares:
        put(model, start, trained, share, project)
        trials.append(ShareTrial(share, *judge(model)))
        if first:
            say(f"{label}: {share:g} of the trained weights: dev {100 * trials[-1].dev:.2f}, " + ", ".join(
            f"{name} {100 * rate:.2f} (original {100 * original[name]:.2f})" for name, rate in trials[-1].kept.items()
        ))  # fmt: skip
    best = choose(trials, original)
    put(model, start, trained, best.share, project)
    beyond = [name for name, rate in best.kept.items() if rate > original[name] + ALLOWED + 1e-12]
    if beyond and first:
        say(
            f"WARNING: {label}: no share keeps {', '.join(beyond)} within {100 * ALLOWED:g} points of the original; "
            f"{best.share:g} of the trained weights forgets least"
        )
    return {
        "share": best.share,
        "forgotten": {n: {"original": original[n], "now": r} for n, r in best.kept.items()},
        "tried": [{"share": one.share, "dev": one.dev, "kept": one.kept} for one in trials],
    }


@torch.no_grad()
def put(model: Network, start: Weights, trained: Weights, share: float, project: Callable[[Weights], None]) -> None:
    """Make the weights in between the model's own."""
    weights = interpolated(start, trained, share)
    project(weights)
    model.load_state_dict(weights)


@dataclass
class RehearsalDev:
    """The original's error rates on the rehearsal dev sets (`JobData.rehearsal_dev`), which must be kept."""

    model: Network
    text: TextCodec
    data: JobData

    def rates(self, model: Network, text: TextCodec, label: str) -> Rates:
        """Error rates on those sets."""
        return {
            name: decode_set(model, text, self.data, f"known-{name}", clips, label, shared=True).rate
            for name, clips in self.data.rehearsal_dev.items()
        }

    def settle(
        self,
        model: Network,
        text: TextCodec,
        start: Weights,
        callbacks: Sequence[Callback],
        settings: TrainSettings,
        label: str,
    ) -> Json:
        """Interpolate the weights of `model` as `settings.interpolation` says; see the function `settle`.

        Several processes share the clips that are decoded, and all end with the same weights.
        """

        def project(weights: Weights) -> None:
            for callback in callbacks:
                callback.project(weights)

        def judge(current: Network) -> tuple[float, Rates]:
            current.eval()
            dev = decode_set(current, text, self.data, "dev", self.data.dev, label, shared=True).rate
            return dev, self.rates(current, text, label)

        trained = {name: value.detach().clone() for name, value in model.state_dict().items()}
        original = self.rates(self.model.to(self.data.device).eval(), self.text, "original")
        shares = SHARES if settings.interpolation == "dev" else (1.0,)
        outcome = distributed.agreed(settle(model, start, original, project, judge, label, shares))
        put(model, start, trained, outcome["share"], project)
        return outcome
