"""What jobs ask of a model family: its smaller start, its objective, its transcripts. One `Task` a family."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Any, Protocol

from ..data.bank import AudioBank
from ..data.manifest import Utterance
from ..models.family import Config
from ..prune.settings import PruneSettings
from ..prune.student import Student
from ..train.objective import Objective
from ..train.settings import TrainSettings

TASKS = {
    "whisper": ".seq2seq.task:Seq2SeqTask", "ctc": ".ctc.task:CtcTask", "hf_ctc": ".ctc.task:CtcTask",
    "parakeet": ".ctc.task:CtcTask", "moonshine": ".seq2seq.task:Seq2SeqTask",
}  # fmt: skip


class Task(Protocol):
    """How one family is trained and read; tasks have no state."""

    def student(
        self, model: Any, text: Any, texts: Iterable[str], languages: Sequence[str], prune: PruneSettings | None,
        train: TrainSettings | None,
    ) -> Student:  # fmt: skip
        """The network that training starts from: a copy of `model`, what can go before training cut off."""

    def objective(
        self, student: Student, utterances: Sequence[Utterance], settings: TrainSettings, teacher: Any | None,
        device: Any,
    ) -> Objective:  # fmt: skip
        """The loss of clips of `utterances`, which are numbered as in the training bank."""

    def transcribe(
        self, model: Any, text: Any, bank: AudioBank, languages: Sequence[str], batch_seconds: float, label: str = ""
    ) -> list[str]:
        """The text of every clip, greedily."""


def task_of(config: Config) -> Task:
    """The task of a model's family."""
    module, name = TASKS[config.family].split(":")
    task: Task = getattr(import_module(module, __package__), name)()
    return task
