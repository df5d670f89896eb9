"""The protocol of training and reading a model family: initial model, objective, transcripts. One `Task` a family."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import torch

from ..data.bank import AudioBank
from ..data.manifest import Utterance
from ..models.family import Config, Member, TeacherModel, TextCodec
from ..models.network import Network
from ..train.loss import Objective
from ..train.settings import TrainSettings
from .initial_model import InitialModel
from .settings import PruneSettings


class Task(Protocol):
    """How one family is trained and read; tasks have no state. `unread` names the settings that have no effect on it,
    as `training.style`: jobs refuse them."""

    unread: frozenset[str]

    def initial_model(
        self, model: Network, text: TextCodec, texts: Iterable[str], languages: Sequence[str],
        prune: PruneSettings | None, train: TrainSettings | None,
    ) -> InitialModel:  # fmt: skip
        """The network that training starts from: a copy of `model`, pruned of what `prune` cuts before training."""

    def objective(
        self, initial: InitialModel, utterances: Sequence[Utterance], settings: TrainSettings,
        teacher: TeacherModel | None, device: torch.device,
    ) -> Objective:  # fmt: skip
        """The loss of clips of `utterances`, which are numbered as in the training bank."""

    def transcribe(
        self, model: Network, text: TextCodec, bank: AudioBank, languages: Sequence[str], batch_seconds: float,
        label: str = "",
    ) -> list[str]:  # fmt: skip
        """The text of every clip, greedily."""


def unread_by(config: Config) -> frozenset[str]:
    """The settings that have no effect on models of a family; tasks of other packages need not say."""
    return getattr(task_of(config), "unread", frozenset())


def task_of(config: Config) -> Task:
    """The task of a model's family."""
    return Member[Callable[[], Task]]("task").of(config)()
