"""Training with the four bits that an export will store (quantisation-aware, Jacob et al. 2018, arXiv 1712.05877).

From some step on every forward pass reads the chosen matrices as `export.precision.quantise_nibbles` would store them;
gradients go to the weights behind (straight-through). What is validated and what the run ends with lies on that grid,
so the export stores it without a further error.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from ..base.errors import SecateurError
from .run import Callback

BLOCK, ZERO = 32, 8  # inputs that share a scale, and the step that means 0: as in `export.precision`
SHARES = (1.0, 0.95, 0.9, 0.85, 0.8, 0.75)  # of a block's largest value: where four bits may end


@torch.no_grad()
def fake_quantise(weight: Tensor) -> Tensor:
    """`weight` (out, in) after quantisation to four bits and back: blocks of 32 inputs, a half-precision scale each, of
    16 steps.

    Inputs that are zero for every output are left out of the blocks: pruning will have removed them.
    """
    used = weight.ne(0).any(0)
    all_used = bool(used.all())
    values = (weight if all_used else weight[:, used]).float()
    outputs, inputs = values.shape
    blocks = nn.functional.pad(values, (0, -inputs % BLOCK)).view(outputs, -1, BLOCK)
    end = blocks.gather(2, blocks.abs().argmax(2, keepdim=True))
    best, least = torch.zeros_like(blocks), torch.full_like(end, torch.inf)
    for share in SHARES:
        for steps in (-ZERO, ZERO - 1):
            scale = (share * end / steps).half().float()
            scale = torch.where(scale == 0, torch.ones_like(scale), scale)
            rounded = (blocks / scale).round().clamp(-ZERO, ZERO - 1) * scale
            error = (rounded - blocks).square().sum(2, keepdim=True)
            best = torch.where(error < least, rounded, best)
            least = torch.minimum(error, least)
    rounded = best.view(outputs, -1)[:, :inputs].to(weight.dtype)
    if all_used:
        return rounded
    result = torch.zeros_like(weight)
    result[:, used] = rounded
    return result


class FourBitTraining(Callback):
    """Puts the matrices named by `patterns` on the grid for every pass from `begin` (a share of the steps) on."""

    def __init__(self, model: nn.Module, patterns: Sequence[str], begin: float) -> None:
        self.begin = begin
        self.parameters = {
            name: parameter
            for name, parameter in model.named_parameters()
            if parameter.dim() == 2
            and parameter.requires_grad
            and any(fnmatchcase(name.removesuffix(".weight"), pattern) for pattern in patterns)
        }
        if not self.parameters:
            raise SecateurError(f"train.four_bits: no matrix of the model is named {', '.join(patterns)}")
        self.exact: dict[str, Tensor] = {}

    @torch.no_grad()
    def before_forward(self, step: int, total: int) -> None:
        if step < self.begin * total or self.exact:
            return
        for name, parameter in self.parameters.items():
            self.exact[name] = parameter.detach().clone()
            parameter.copy_(fake_quantise(parameter))

    @torch.no_grad()
    def after_backward(self, step: int, total: int) -> None:
        for name, exact in self.exact.items():
            self.parameters[name].copy_(exact)
        self.exact = {}

    @torch.no_grad()
    def project(self, parameters: dict[str, Tensor]) -> None:
        """Averages and results go on the grid; the weights that are still trained do not."""
        for name, trained in self.parameters.items():
            if parameters[name].data_ptr() != trained.data_ptr():
                parameters[name].copy_(fake_quantise(parameters[name]))

    def ready(self, step: int, total: int) -> bool:
        return step >= self.begin * total
