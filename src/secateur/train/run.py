"""The inputs and outputs of a training run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from ..audio.augment import NoiseBank
from ..data.bank import AudioBank, StreamedBank
from ..models.network import Network
from .callback import Callback
from .objective import Objective
from .stream import Mix


@dataclass
class TrainingRun:
    """What a run works with: audio, the mix of sets, the objective, callbacks, validation and the output folder."""

    bank: AudioBank | StreamedBank
    mix: Mix
    objective: Objective
    callbacks: Sequence[Callback] = ()
    validate: Callable[[Network], dict[str, float]] | None = None  # on every process; lower `error` is better
    extra: nn.Module | None = None  # trained beside the model, at `settings.auxiliary_rate` times its rate
    noise: NoiseBank | None = None
    nonspeech: NoiseBank | None = None  # recordings without speech
    folder: Path | None = None  # metrics.jsonl and state.safetensors; None keeps nothing
    label: str = "training"
