"""Fine-tune a model, or train a new one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..base.errors import SecateurError
from ..base.files import Json
from ..base.options import option
from ..families.ctc.new_settings import NewModel
from ..train.settings import TrainSettings
from .data import DataSettings, Work
from .job import job

if TYPE_CHECKING:
    from ..prune.settings import PruneSettings


@dataclass(frozen=True, kw_only=True)
class TrainingJobSettings(DataSettings):
    """What jobs of one training run take, pruned or not."""

    teacher: str = option("", "Distil from this model (CTC: one of the same units); see training.distillation-on.")
    stream: bool = option(False, "Read training audio while training, for sets that do not fit in memory.")
    window: int = option(
        20000, "Shuffle batches between this many clips, with stream.", unit="clips", least=1, advanced=True
    )
    training: TrainSettings = option(TrainSettings(), "Say how the model is trained.", was=("train",))
    new: NewModel = option(NewModel(), "Say what is built when there is no model to start from.")

    def work(self) -> Work:
        """What is trained, removed and exported."""
        new = self.new if self.new.preset else None
        return Work(self.training, teacher=self.teacher, window=self.window if self.stream else 0, new=new)


@dataclass(frozen=True, kw_only=True)
class TrainJobSettings(TrainingJobSettings):
    """What `train` does."""


@job(TrainJobSettings)
def train(settings: TrainJobSettings) -> Json | None:
    """Fine-tune a model, or train a new one; returns errors, steps and seconds. Of several processes, the first does.

    Raises:
        SecateurError: anything a user can get wrong, in one line, before training.
    """
    return run_one_arm(settings, "train", "dense", None)


def run_one_arm(settings: TrainingJobSettings, job_name: str, arm: str, prune: PruneSettings | None) -> Json | None:
    """Check, record, train, evaluate; inside `torchrun` all processes train together."""
    from ..base.extras import require

    require("torch", "train")
    from ..study.arm import ArmSettings, finished, remove_state, run_arm
    from ..study.record import begin, complete, finish
    from ..train.distributed import processes, rank
    from .check import plan_job

    if settings.new.preset and settings.model != "tiny.en":
        raise SecateurError("--new.preset starts from nothing: leave out --model")
    with processes(settings.device) as device:
        if finished(settings.out) is not None and not settings.check:
            remove_state(settings.out)
            complete(settings.out)
            raise SecateurError(f"{settings.out}: a finished run is here; name another --out, or delete it")
        plan = plan_job(settings, settings.work(), device=str(device))
        if settings.check:
            return plan.summary() if rank() == 0 else None
        record = None
        if rank() == 0:
            record = begin(job_name, settings, plan.files, settings.model, settings.out)
        training = settings.training.resolved(pretrained=not plan.new, teacher=bool(settings.teacher))
        run_arm(ArmSettings(arm, training, prune), plan.model, plan.text, plan.data, settings.out, plan.teacher)
        if record is None:
            return None
        finish(settings.out, record)
    return {"folder": str(settings.out), **(finished(settings.out) or {})}
