"""What jobs ask of a model family: its smaller start, its objective, its transcripts. One `Task` a family."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import torch

from ..data.bank import AudioBank
from ..data.manifest import Utterance
from ..models.family import Config, TextCodec, family_of
from ..models.network import Network
from ..train.objective import Objective
from ..train.settings import TrainSettings
from .settings import PruneSettings
from .student import Student


class Task(Protocol):
    """How one family is trained and read; tasks have no state."""

    def student(
        self, model: Network, text: TextCodec, texts: Iterable[str], languages: Sequence[str],
        prune: PruneSettings | None, train: TrainSettings | None,
    ) -> Student:  # fmt: skip
        """The network that training starts from: a copy of `model`, what can go before training cut off."""

    def objective(
        self, student: Student, utterances: Sequence[Utterance], settings: TrainSettings, teacher: Network | None,
        device: torch.device,
    ) -> Objective:  # fmt: skip
        """The loss of clips of `utterances`, which are numbered as in the training bank."""

    def transcribe(
        self, model: Network, text: TextCodec, bank: AudioBank, languages: Sequence[str], batch_seconds: float,
        label: str = "",
    ) -> list[str]:  # fmt: skip
        """The text of every clip, greedily."""


def task_of(config: Config) -> Task:
    """The task of a model's family."""
    task: Task = family_of(config).task()()
    return task
