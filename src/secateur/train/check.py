"""What of the training settings a model cannot follow, found without training it."""

from __future__ import annotations

from torch import nn

from ..base.errors import SecateurError
from ..base.extras import require
from .four_bits import FourBitTraining
from .lora import check_low_rank
from .settings import TrainSettings


def check_training(model: nn.Module, settings: TrainSettings) -> None:
    """Refuse settings that would only fail once `model` is trained, or after.

    Raises:
        SecateurError: low-rank updates that the model cannot have or that do not go with another setting, patterns of
            four bits that name no matrix, an extra that is not installed.
    """
    check_low_rank(model, settings)
    if settings.four_bits:
        if settings.low_rank_updates:
            raise SecateurError(
                "four_bits cannot go with low-rank updates: a sum with their product leaves the grid; leave out one"
            )
        FourBitTraining(model, settings.four_bits, settings.four_bits_from)
    if settings.tensorboard:
        require("tensorboard", "tensorboard")
