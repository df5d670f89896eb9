"""What every network is: built from its config alone, with its prunable groups declared by its layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from ..base.errors import SecateurError
from .groups import Group, TimeAxis

STREAM = "the residual stream, which every layer adds to, has its width"


class Network(nn.Module):
    """Base of all families' networks: `type(network)(config)` builds another of the same kind.

    A group of kind "layer" is named after the `ModuleList` that holds the layers, so that surgery can renumber them.
    """

    config: Any
    dropout: nn.Dropout
    input_mask: Tensor | None  # inputs (inputs,) that are not masked, which the front-end must know; None: all

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config
        self.dropout = nn.Dropout(0.0)
        self.input_mask = None

    def groups(self) -> list[Group]:
        """All that may go, as the layers declare it."""
        raise NotImplementedError

    def stays_whole(self) -> dict[str, str]:
        """Why parameters are in no group, by patterns of their names with * for layer numbers; the first that fits."""
        return {"*": STREAM}

    def over_time(self) -> list[TimeAxis]:
        """The parameters that know how far apart frames are, for `prune.inputs`."""
        return []

    def mask_inputs(self, kept: Tensor) -> None:
        """Let the front-end compute as if only the inputs `kept` (inputs,) were there.

        Their columns are zero while masked, but Whisper's features are relative to the loudest of all that are
        computed: whoever computes features for this network passes `input_mask` on.
        """
        self.input_mask = None if bool(kept.all()) else kept

    def check_unmasked(self) -> None:
        """Refuse a network with masks that are not in its weights: what is written would not compute the same.

        Raises:
            SecateurError: there are some.
        """

    def mask_vocabulary(self, kept: Tensor) -> None:
        """Make the output rows that are not `kept` (rows,) impossible: a zero logit would not be.

        Raises:
            SecateurError: this family has no vocabulary to prune.
        """
        raise SecateurError(f"a model of the family '{self.config.family}' has no vocabulary rows to mask")


class FrameNetwork(Network):
    """Base of the networks that answer in every frame (CTC)."""

    def forward(self, features: Tensor, frames: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Features (batch, frames, inputs) to logarithms of probabilities (batch, shorter, units), and how many of
        them are real in each row."""
        raise NotImplementedError

    def sections(self) -> Mapping[str, Any]:
        """The parts that run one after the other, `section(x, frames, dropout)`, by name; none: it runs as a whole."""
        return {}

    def halves(self, features: Tensor, frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`forward` as half of the blocks and as all of them would answer, and the real frames.

        Raises:
            SecateurError: this network cannot answer halfway.
        """
        raise SecateurError("training.intermediate_ctc is for networks with a Conformer: set it to 0 for this one")
