"""Prune a model: gradually while it trains, or at once without training."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from ..base.errors import SecateurError
from ..base.files import Json
from ..base.options import option
from ..prune.settings import ByErrorSettings, PruneSettings
from .data import Work
from .job import job
from .train import TrainingJobSettings, run_one_arm


@dataclass(frozen=True, kw_only=True)
class PruneJobSettings(TrainingJobSettings):
    """What `prune` does."""

    one_shot: bool = option(False, "Rank on a few batches and cut once, without training.")
    by: Literal["budget", "error"] = option(
        "budget",
        "Remove a share of the model, or, without training, the heads and units whose removal lowers the "
        "error: selected on train, confirmed on dev, rehearsal-dev sets kept.",
    )
    by_error: ByErrorSettings = option(ByErrorSettings(), "Say how removals by error are chosen.")
    prune: PruneSettings = option(PruneSettings(), "Say what is removed.")

    def work(self) -> Work:
        work = super().work()
        if self.by == "error":  # nothing is trained, and what goes is not known before
            return replace(work, training=None)
        return replace(
            work, training=None if self.one_shot else self.training, prune=self.prune, one_shot=self.one_shot
        )


@job(PruneJobSettings)
def prune(settings: PruneJobSettings) -> Json | None:
    """Prune a model, with or without training; returns errors, the share removed, steps and seconds.

    Raises:
        SecateurError: anything a user can get wrong, in one line, before training.
    """
    if not settings.one_shot and settings.by == "budget":
        return run_one_arm(settings, "prune", "pruned", settings.prune)
    if settings.stream:
        raise SecateurError("without training a few batches are read: leave out --stream")
    if settings.new.preset:
        raise SecateurError("--one-shot prunes a trained model: leave out --new.preset")
    from ..base.extras import require

    require("torch", "train")
    from ..study.oneshot import prune_by_error, prune_without_training
    from ..study.preview import without_training
    from ..study.record import begin, finish, unfinished
    from .check import plan_job

    if (settings.out / "config.json").exists() and not unfinished(settings.out) and not settings.check:
        raise SecateurError(f"{settings.out}: a model is here; name another --out, or delete it")
    plan = plan_job(settings, settings.work())
    if settings.check:
        return plan.summary()
    record = begin("prune", settings, plan.files, settings.model, settings.out)
    if settings.by == "error":
        summary = prune_by_error(plan.model, plan.text, plan.data, settings.by_error, settings.out)
        finish(settings.out, record)
        return summary
    how = without_training(plan.model, settings.prune)
    summary = prune_without_training(plan.model, plan.text, plan.data, how, settings.out)
    finish(settings.out, record)
    return summary
