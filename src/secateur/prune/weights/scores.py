"""How much a single weight matters: one `WeightCriterion` a name, of the weight and what was gathered about it.

A new criterion is a function `(weight, evidence) -> scores` of the weight's shape, higher matters more, what it needs,
its name in `WEIGHT_CRITERIA` (or an entry point `secateur.weight_criteria` of another package), and a test.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ...base.errors import SecateurError
from ...base.plugins import PluginError, Registry, named, shape_of


@dataclass(frozen=True)
class WeightEvidence:
    """About one matrix. `sums` are running sums over steps of the criterion's term, shaped like the weight."""

    name: str  # of the parameter
    sums: Tensor | None = None
    inputs: Tensor | None = None  # root mean square of each input feature that the weight reads, (in,)
    groups: int = 1  # of a convolution: outputs of one group read only the group's inputs
    seed: int = 0


def magnitude(weight: Tensor, evidence: WeightEvidence) -> Tensor:
    """|w| (Han et al. 2015, arXiv 1506.02626)."""
    return weight.abs()


def taylor(weight: Tensor, evidence: WeightEvidence) -> Tensor:
    """Root of the summed (g * w)^2: the loss change to first order (Molchanov et al. 2019, arXiv 1906.10771)."""
    assert evidence.sums is not None
    return evidence.sums.sqrt()


def movement(weight: Tensor, evidence: WeightEvidence) -> Tensor:
    """Sum of -g * w: weights that training pushes towards zero go first (Sanh et al. 2020, arXiv 2005.07683)."""
    assert evidence.sums is not None
    return evidence.sums


def wanda(weight: Tensor, evidence: WeightEvidence) -> Tensor:
    """|w| times the size of the input feature that it multiplies (Sun et al. 2024, arXiv 2306.11695).

    The paper's L2 norm is divided by the root of the number of positions: within a row, where the paper compares, that
    changes nothing, and layers with many positions do not outweigh the others where all compete. Layers still
    read features of different sizes, and a global comparison empties those that read small ones: the scope to take
    is "row".
    """
    assert evidence.inputs is not None
    outputs = weight.shape[0] // evidence.groups
    sizes = evidence.inputs.view(evidence.groups, weight.shape[1]).repeat_interleave(outputs, 0)
    return weight.abs() * sizes.view(*sizes.shape, *[1] * (weight.dim() - 2))


def random_scores(weight: Tensor, evidence: WeightEvidence) -> Tensor:
    """Random scores, the same whenever they are asked for: the control that every criterion has to beat."""
    seed = evidence.seed * 1_000_003 + zlib.crc32(evidence.name.encode())
    return torch.rand(weight.shape, generator=torch.Generator().manual_seed(seed)).to(weight.device)


def taylor_term(gradients: list[Tensor], weights: list[Tensor]) -> list[Tensor]:
    """(g * w)^2 of every weight."""
    terms = list(torch._foreach_mul(gradients, weights))
    torch._foreach_mul_(terms, terms)
    return terms


def movement_term(gradients: list[Tensor], weights: list[Tensor]) -> list[Tensor]:
    """-g * w of every weight."""
    terms = list(torch._foreach_mul(gradients, weights))
    torch._foreach_neg_(terms)
    return terms


@dataclass(frozen=True)
class WeightCriterion:
    """How single weights are scored.

    `term` is what is added up each step, from all gradients and weights (`WeightEvidence.sums`), of which `decay` of
    the old sum stays: squares may decay as the network changes, signed terms cancel and need every step.
    `needs_inputs`: the sizes of what each matrix reads (`WeightEvidence.inputs`) are gathered.
    """

    score: Callable[[Tensor, WeightEvidence], Tensor]
    term: Callable[[list[Tensor], list[Tensor]], list[Tensor]] | None = None
    decay: float = 1.0
    needs_inputs: bool = False

    def __call__(self, weight: Tensor, evidence: WeightEvidence) -> Tensor:
        """Scores in the shape of `weight`.

        Raises:
            SecateurError: something that the criterion needs was not gathered.
            PluginError: it did not give a score a weight.
        """
        missing = "its term, summed over steps" if self.term is not None and evidence.sums is None else ""
        if self.needs_inputs and evidence.inputs is None:
            missing = "what the matrix reads"
        if missing:
            raise SecateurError(
                f"the criterion '{self.score.__name__}' needs {missing}, which is not known of "
                f"{evidence.name}: name the matrices to prune (prune.amounts), or choose another criterion"
            )
        scores = self.score(weight, evidence)
        if getattr(scores, "shape", None) != weight.shape:
            raise PluginError(
                f"{named(self, 'weight_criteria') or f'the criterion {self.score.__name__}'} gave {shape_of(scores)} "
                f"for {evidence.name}: scores have the shape {tuple(weight.shape)}, one a weight"
            )
        return scores


WEIGHT_CRITERIA: Registry[WeightCriterion] = Registry("weight_criteria", "criterion for single weights", {
    "magnitude": WeightCriterion(magnitude),
    "taylor": WeightCriterion(taylor, taylor_term, 0.97),
    "movement": WeightCriterion(movement, movement_term),
    "wanda": WeightCriterion(wanda, needs_inputs=True),
    "random": WeightCriterion(random_scores),
})  # fmt: skip
