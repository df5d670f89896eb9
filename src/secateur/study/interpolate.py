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
from ..evaluate.bootstrap import paired_difference
from ..evaluate.result import Result
from ..evaluate.scoring import decode_set
from ..models.family import TextCodec
from ..models.network import Network
from ..train import distributed
from ..train.run import Callback
from ..train.settings import TrainSettings

SHARES = (1.0, 0.85, 0.7, 0.55, 0.4, 0.25)  # of the trained weights, in the order in which they are tried
ALLOWED = 0.005  # error rate above the original's
SURE = 0.8  # level of the interval whose lower end a rise must pass: nine in ten resamples agree

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Known:
    """A set that must be kept: its error rate and the original's, the rise that is beyond chance, its words."""

    now: float
    original: float
    sure: float
    words: int

    @property
    def rise(self) -> float:
        """Error rate above the original's."""
        return self.now - self.original


@dataclass(frozen=True)
class ShareTrial:
    """One share: the error rate on dev, and what the rehearsal dev sets say."""

    share: float
    dev: float
    kept: Mapping[str, Known]

    @property
    def rise(self) -> float:
        """The rise over all words of the rehearsal dev sets together."""
        words = sum(one.words for one in self.kept.values())
        return sum(one.rise * one.words for one in self.kept.values()) / words if words else 0.0

    def surely_forgets(self, allowed: float) -> list[str]:
        """The sets that have each risen by more than `allowed` beyond chance."""
        return [name for name, one in self.kept.items() if one.sure > allowed + 1e-12]

    def forgets(self, allowed: float) -> list[str]:
        """The sets that have risen by more than `allowed`: together, or one of them beyond chance.

        One small set alone does not decide: a set of fifty clips moves by two points of its own accord, and a share
        chosen by it would throw away what was learnt.
        """
        together = [name for name, one in self.kept.items() if one.rise > allowed + 1e-12]
        return together if self.rise > allowed + 1e-12 else self.surely_forgets(allowed)

    def cost(self, allowed: float) -> float:
        """The error rate on dev, and what all sets to keep have risen above `allowed`."""
        return round(self.dev + max(0.0, self.rise - allowed), 9)


def interpolated(start: Mapping[str, Tensor], trained: Mapping[str, Tensor], share: float) -> Weights:
    """The weights between, name by name; what is not a float (counts of batches) is the trained one's."""
    return {
        name: torch.lerp(start[name].to(value), value, share) if value.is_floating_point() else value.clone()
        for name, value in trained.items()
    }


def choose(trials: list[ShareTrial], allowed: float = ALLOWED) -> ShareTrial:
    """The lowest cost among those that surely forget no set; where none is, the one that forgets least.

    A tenth of a point above `allowed` counts as a tenth of a point on dev: with a limit instead, chance in one small
    set cost two seeds of thirteen 1.5 and 6 points of what they had learnt (`results/lower.md`, headline).

    >>> all_of_it = ShareTrial(1.0, 0.10, {"en": Known(0.25, 0.169, 0.05, 800)})
    >>> choose([all_of_it, ShareTrial(0.7, 0.11, {"en": Known(0.172, 0.169, 0.0, 800)})]).share
    0.7
    """
    good = [one for one in trials if not one.surely_forgets(allowed)]
    if good:
        return min(good, key=lambda one: (one.cost(allowed), -one.share))
    return min(trials, key=lambda one: (round(one.rise, 6), one.dev, -one.share))


def settle(
    model: Network, start: Weights, project: Callable[[Weights], None],
    judge: Callable[[Network], tuple[float, Mapping[str, Known]]], label: str, shares: Sequence[float] = SHARES,
) -> Json:  # fmt: skip
    """Leave in `model` the weights between `start` and its own that `choose` takes; returns what was forgotten.

    `judge` gives the error on dev and what every set to keep says, `project` brings weights to what pruning allows.
    """
    trained = {name: value.detach().clone() for name, value in model.state_dict().items()}
    trials, first = [], distributed.rank() == 0
    for share in shares:
        put(model, start, trained, share, project)
        trials.append(ShareTrial(share, *judge(model)))
        if first:
            say(f"{label}: {share:g} of the trained weights: dev {100 * trials[-1].dev:.2f}, " + ", ".join(
            f"{name} {100 * one.now:.2f} (original {100 * one.original:.2f})" for name, one in trials[-1].kept.items()
        ))  # fmt: skip
    best = choose(trials)
    put(model, start, trained, best.share, project)
    beyond = best.forgets(ALLOWED)
    if beyond and first:
        say(
            f"WARNING: {label}: no share keeps {', '.join(beyond)} within {100 * ALLOWED:g} points of the original; "
            f"{best.share:g} of the trained weights forgets least"
        )
    return {
        "share": best.share,
        "forgotten": {name: {"original": one.original, "now": one.now} for name, one in best.kept.items()},
        "tried": [
            {"share": one.share, "dev": one.dev, "kept": {name: known.now for name, known in one.kept.items()}}
            for one in trials
        ],
    }


@torch.no_grad()
def put(model: Network, start: Weights, trained: Weights, share: float, project: Callable[[Weights], None]) -> None:
    """Make the weights in between the model's own."""
    weights = interpolated(start, trained, share)
    project(weights)
    model.load_state_dict(weights)


def known(original: Result, now: Result) -> Known:
    """How a set that must be kept fares, clip by clip against the original."""
    before, after = ([row.counts.errors for row in result.rows] for result in (original, now))
    words = [row.counts.reference for row in original.rows]
    speakers = [row.speaker for row in original.rows]
    difference = paired_difference(before, after, words, speakers, level=SURE, resamples=2000)
    return Known(now.rate, original.rate, difference.low, sum(words))


@dataclass
class RehearsalDev:
    """The original, and what it says of the rehearsal dev sets (`JobData.rehearsal_dev`), which must be kept."""

    model: Network
    text: TextCodec
    data: JobData

    def results(self, model: Network, text: TextCodec, label: str) -> dict[str, Result]:
        """The hypotheses of `model` for those sets."""
        return {
            name: decode_set(model, text, self.data, f"known-{name}", clips, label, shared=True)
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

        def judge(current: Network) -> tuple[float, dict[str, Known]]:
            current.eval()
            dev = decode_set(current, text, self.data, "dev", self.data.dev, label, shared=True).rate
            now = self.results(current, text, label)
            return dev, {name: known(original[name], result) for name, result in now.items()}

        trained = {name: value.detach().clone() for name, value in model.state_dict().items()}
        original = self.results(self.model.to(self.data.device).eval(), self.text, "original")
        shares = SHARES if settings.interpolation == "dev" else (1.0,)
        outcome = distributed.agreed(settle(model, start, project, judge, label, shares))
        put(model, start, trained, outcome["share"], project)
        return outcome
