"""The inputs and outputs of a training run, and its callbacks, by which pruning takes part in training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ..audio.augment import NoiseBank
from ..data.bank import AudioBank, StreamedBank
from ..models.network import Network
from .loss import Objective
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


class Callback:
    """Base class of what the loop calls: a pruner, a logger, anything with state. No method has to be overridden.

    One optimiser step is one or more micro-batches, on one or more processes. Every process calls the same methods in
    the same order; torch's generator is in the same state on each when `before_forward`, `after_backward` and
    `after_step` are called, so that what is drawn there is equal. What a callback gathers otherwise (activations)
    differs from process to process: `distributed.all_reduce_sum` before deciding anything by it.
    """

    def attach(self, optimizer: torch.optim.Optimizer) -> None:
        """Before the first step and before `load`: the optimiser that will move the network, state and all."""

    def before_forward(self, step: int, total: int) -> None:
        """Before each micro-batch: once or more a step, with the same random draws."""

    def penalty(self, step: int, total: int) -> Tensor | None:
        """A term (a scalar that gradients flow through) added to the loss, or None; after each forward pass."""
        return None

    def after_backward(self, step: int, total: int) -> None:
        """Once a step: the whole batch's gradients are there, not yet clipped; `step` counts from 0."""

    def after_step(self, step: int, total: int) -> None:
        """The optimiser has moved the weights."""

    def project(self, parameters: dict[str, Tensor]) -> None:
        """Apply this callback's constraints (masks, a grid) to `parameters`, the model's or an average of them, in
        place."""

    def ready(self, step: int, total: int) -> bool:
        """Whether weights after `step` may be chosen as the result (a pruner says no before its final amount)."""
        return True

    def metrics(self) -> dict[str, float]:
        """Numbers for the training log."""
        return {}

    def tensors(self) -> dict[str, Tensor]:
        """State to resume from."""
        return {}

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Restore the state that `tensors` returned."""
