"""Counts of a network's weights: matrices and filters, without embeddings, positions and norms."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn

from ..models.family import family_of
from ..models.network import Network


def matrices(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """The weight matrices and filters of linear, convolution and recurrent layers, by parameter name."""
    for module_name, module in model.named_modules():
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.RNNBase):
            for name, parameter in module.named_parameters(recurse=False):
                if parameter.dim() > 1:
                    yield f"{module_name}.{name}", parameter


def matrix_weights(model: nn.Module) -> int:
    """Values in all matrices, zeros included."""
    return sum(p.numel() for _, p in matrices(model))


def nonzero_weights(model: nn.Module) -> int:
    """Values in all matrices that are not zero: those that unstructured pruning keeps."""
    return sum(int(p.detach().count_nonzero()) for _, p in matrices(model))


def nonzero_values(model: Network) -> float:
    """All values that are stored, but for the matrices' zeros: embeddings, positions, norms and biases count."""
    return family_of(model.config).parameters(model.config) - matrix_weights(model) + nonzero_weights(model)
