"""What every network is: built from its config alone, with its prunable groups declared by its layers."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ..base.errors import SecateurError
from .groups import Group


class Recogniser(nn.Module):
    """Base of all families' networks: `type(network)(config)` builds another of the same kind.

    A group of kind "layer" is named after the `ModuleList` that holds the layers, so that surgery can renumber them.
    """

    config: Any
    dropout: nn.Dropout

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config
        self.dropout = nn.Dropout(0.0)

    def groups(self) -> list[Group]:
        """All that may go, as the layers declare it."""
        raise NotImplementedError

    def mask_vocabulary(self, kept: Tensor) -> None:
        """Make the output rows that are not `kept` (rows,) impossible: a zero logit would not be.

        Raises:
            SecateurError: this family has no vocabulary to prune.
        """
        raise SecateurError(f"a model of the family '{self.config.family}' has no vocabulary rows to mask")
