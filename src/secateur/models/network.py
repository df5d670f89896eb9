"""Base classes of networks: built from a config alone, with prunable groups that their layers
declare; also without values, where those of a checkpoint or a larger network come next."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..base.errors import SecateurError
from .groups import Group, ResidualStream, TimeAxis

STREAM = "the residual stream, which every layer adds to, has its width"


class Network(nn.Module):
    """Base of all families' networks: `type(network)(config)` builds another of the same kind.

    A group of kind "layer" is named after the `ModuleList` that holds the layers, so that surgery can renumber them.
    """

    config: Any
    dropout: nn.Dropout
    input_mask: Tensor | None  # bool (inputs,), False where masked, which the front-end must know; None: no mask

    def __init__(self, config: object) -> None:
        super().__init__()
        self.config = config
        self.dropout = nn.Dropout(0.0)
        self.input_mask = None

    def groups(self) -> list[Group]:
        """All prunable groups, as the layers declare them."""
        raise NotImplementedError

    def ungrouped(self) -> dict[str, str]:
        """Why parameters are in no group, by name pattern (* for layer numbers); the first matching pattern counts."""
        return {"*": STREAM}

    def residual_streams(self) -> list[ResidualStream]:
        """The residual streams, as `between_matrices` frees them, that may be rotated and cut; [] if none."""
        return []

    def between_matrices(self) -> Self:
        """The network that computes the same and whose `residual_streams` have a matrix before and after them."""
        raise NotImplementedError

    def time_axes(self) -> list[TimeAxis]:
        """The parameters that depend on the frame shift, for `prune.inputs`."""
        return []

    def called_apart(self) -> list[nn.Module]:
        """Parts of layers that are called outside their layer's forward pass: sharded training gathers them apart."""
        return []

    def mask_inputs(self, kept: Tensor) -> None:
        """Let the front-end compute as if only the inputs `kept` (inputs,) were there.

        Their columns are zero while masked, but Whisper's features are relative to the loudest of all that are
        computed: whoever computes features for this network passes `input_mask` to the extractor.
        """
        self.input_mask = None if bool(kept.all()) else kept

    def check_unmasked(self) -> None:
        """Refuse a network with masks outside its weights, which an export would lose.

        Raises:
            SecateurError: there is such a mask.
        """

    def on_first_grid(self) -> AbstractContextManager[object]:
        """Inside `with`, outputs are where they were before any frames were merged, so that losses of networks that
        merge differently compare."""
        return nullcontext()

    def mask_vocabulary(self, kept: Tensor) -> None:
        """Mask the output rows that are not `kept` (rows,) with minus infinity; a logit of zero would not exclude them.

        Raises:
            SecateurError: this family has no vocabulary to prune.
        """
        raise SecateurError(f"a model of the family '{self.config.family}' has no vocabulary rows to mask")


class FrameNetwork(Network):
    """Base of the networks with one output a frame (CTC)."""

    def forward(self, features: Tensor, frames: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Features (batch, frames, inputs) to log-probabilities (batch, output frames, units), and the valid output
        frames of each row (batch,)."""
        raise NotImplementedError

    def sections(self) -> Mapping[str, Any]:
        """The parts that run one after the other, `section(x, frames, dropout)`, by name; empty: it has no parts."""
        return {}

    def with_intermediate(self, features: Tensor, frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log-probabilities after the middle block (intermediate CTC) and after the last, and the valid frames.

        Raises:
            SecateurError: this network has no intermediate output.
        """
        raise SecateurError("training.intermediate_ctc is for networks with a Conformer: set it to 0 for this one")


class _NoInitialisation(TorchFunctionMode):
    """`torch.nn.init` leaves tensors alone."""

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__module__", "") == "torch.nn.init":
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))


@contextmanager
def without_values() -> Iterator[None]:
    """Build modules on PyTorch's meta device, without drawing their first values.

    There is nothing to draw, and for some distributions PyTorch would import its compiler to draw it: two seconds of
    every command that loads a checkpoint.
    """
    with torch.device("meta"), _NoInitialisation():
        yield
