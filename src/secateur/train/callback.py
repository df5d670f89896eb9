"""How pruning joins training without training knowing of it."""

from __future__ import annotations

import torch
from torch import Tensor


class Callback:
    """Called by the loop; a pruner, a logger, anything with state. Every method may be left as it is.

    One optimiser step is one or more micro-batches, on one or more processes. Every process calls the same methods in
    the same order; torch's generator is in the same state on each when `before_forward`, `after_backward` and
    `after_step` are called, so that what is drawn there is equal. What a callback gathers otherwise (activations)
    differs from process to process: `distributed.add_up` before deciding anything by it.
    """

    def attach(self, optimizer: torch.optim.Optimizer) -> None:
        """Before the first step and before `load`: the optimiser that will move the network, state and all."""

    def before_forward(self, step: int, total: int) -> None:
        """A micro-batch is ready, the network has not seen it: once or more a step, with the same draws."""

    def penalty(self, step: int, total: int) -> Tensor | None:
        """A term (a scalar that gradients flow through) added to the loss, or None; after each forward pass."""
        return None

    def after_backward(self, step: int, total: int) -> None:
        """Once a step: the whole batch's gradients are there, not yet clipped; `step` counts from 0."""

    def after_step(self, step: int, total: int) -> None:
        """The optimiser has moved the weights."""

    def project(self, parameters: dict[str, Tensor]) -> None:
        """Bring `parameters` (the model's own, or an average of them) back to what is allowed, in place."""

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
        """Take back what `tensors` gave."""
