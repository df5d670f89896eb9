"""The jobs of this toolkit: each takes its settings, or keyword arguments that fill them.

    from secateur.api import adapt, load, prune

    run = adapt(train="mine/train.jsonl", out="runs/mine", prune__remove=0.3)
    recogniser = load(run["exported"])

The command line, TOML files, studies and the page of settings are made from the same settings classes.
"""

from __future__ import annotations

from typing import Any

from .adapt import AdaptSettings, adapt
from .compare import CompareSettings, compare
from .doctor import DoctorSettings, doctor
from .evaluate import EvaluateSettings, evaluate
from .export import ExportSettings, export
from .job import Job
from .prune import PruneJobSettings, prune
from .sensitivity import SensitivityJobSettings, sensitivity
from .study import StudyJobSettings, study
from .train import TrainJobSettings, train
from .transcribe import TranscribeSettings, load, transcribe

JOBS: dict[str, Job[Any, Any]] = {
    one.name: one for one in (adapt, train, prune, evaluate, compare, sensitivity, export, transcribe, study, doctor)
}

__all__ = [
    "JOBS", "AdaptSettings", "CompareSettings", "DoctorSettings", "EvaluateSettings", "ExportSettings",
    "PruneJobSettings", "SensitivityJobSettings", "StudyJobSettings", "TrainJobSettings", "TranscribeSettings",
    "adapt", "compare", "doctor", "evaluate", "export", "load", "prune", "sensitivity", "study", "train", "transcribe",
]  # fmt: skip
